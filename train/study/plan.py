"""Plan of a study: its trainings, and the commands that train and evaluate each of them."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dali_cutmix.utils import write_atomically
from pipelines.ood import list_images
from train.cli import parse
from train.config import Config
from train.data import backgrounds, boxes_in_crop, evaluation_folder, open_split, read_boxed
from train.evaluation import localization_problem, parse_ood_sets
from train.recipes import RECIPES
from train.study import transfer
from train.study.options import CHANGEABLE_ON_RERUN, StudyOptions
from train.study.result_files import read_object
from train.study.step import Step, result, train_step


@dataclass(frozen=True)
class Training:
    """The steps of one network, trained or random."""

    method: str
    seed: int
    folder: Path
    """Folder of its files."""
    steps: tuple[Step, ...]
    """Steps in the order in which they must run."""


@dataclass(frozen=True)
class Classifier(Training):
    """A classifier's training, its evaluations, and the fine-tuning of its network."""

    config: Config
    """Configuration of the training."""


@dataclass(frozen=True)
class Plan:
    """All steps of a study."""

    options: StudyOptions
    """Options as they were given."""
    extra: tuple[str, ...]
    """Options of the trainings."""
    trainings: tuple[Classifier, ...]
    random: tuple[Training, ...]
    """Fine-tuning of random networks, for comparison."""
    jobs: int
    """Number of trainings at once."""
    evaluations: tuple[str, ...]
    """Names of the evaluations of each classifier."""
    left_out: dict[str, str]
    """Evaluations that are impossible, and the reasons."""


def make_plan(options: StudyOptions, extra: Sequence[str]) -> Plan:
    """Plan a study; options and data of all steps are checked now, before hours of training.

    A study of two methods and one seed, with ``--transfer coco-nic``::

        plan.trainings   none-0     train, evaluate, coco-nic: train, coco-nic: evaluate
                         cutmix-0   train, evaluate, coco-nic: train, coco-nic: evaluate
        plan.random      random-0                    coco-nic: train, coco-nic: evaluate

    Args:
        options: the study's options.
        extra: further options of the trainings.

    Raises:
        FileNotFoundError, ValueError: options, data or boxes are wrong.
        SystemExit: an option of the trainings is unknown.
    """
    given = options
    if options.data is None and not options.ood:
        options = dataclasses.replace(options, ood=(f"backgrounds={backgrounds()}",))
    for folder in parse_ood_sets(options.ood).values():
        list_images(folder)
    config = _config(options, extra, options.methods[0], 0)
    for split in ("train", "val"):
        open_split(config.data, split)
    transfer.check_data(options, config)
    left_out = _check_localization(options, config)
    evaluations = tuple(name for name in ("eval", "robustness", "uncertainty", "localization") if name not in left_out)
    jobs = options.jobs or _jobs(config)
    trainings = tuple(
        _classifier(options, extra, method, seed, evaluations, jobs)
        for seed in range(options.seeds)
        for method in options.methods
    )
    random = tuple(_random(options, seed, jobs) for seed in range(options.seeds) if options.transfer)
    return Plan(given, tuple(extra), trainings, random, jobs, evaluations, left_out)


def _arguments(options: StudyOptions, extra: Sequence[str], method: str, seed: int) -> list[str]:
    """The arguments of a training's command."""
    given = [options.recipe, *(["--data", str(options.data.absolute())] if options.data else []), "--mix", method]
    if method in ("mixup", "cutout"):
        given += ["--mix-probability", "1"]
    return [*given, "--seed", str(seed), *extra]


def _config(options: StudyOptions, extra: Sequence[str], method: str, seed: int) -> Config:
    for name in ("--data", "--mix", "--seed", "--device", "--output-dir", "--resume", "--num-threads"):
        if name in (word.partition("=")[0] for word in extra):
            raise ValueError(f"{name} given after --; the study sets it itself, so leave it out.")
    if options.recipe in RECIPES and not isinstance(RECIPES[options.recipe](), Config):
        raise ValueError(
            f"recipe {options.recipe!r} given; a study compares classifiers, choose a classifier's recipe."
        )
    config = parse([*_arguments(options, extra, method, seed), "--device", options.device])
    assert isinstance(config, Config)
    return config


def _jobs(config: Config) -> int:
    if torch.cuda.is_available() and config.device != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0))
    return max(1, cores // (config.cpu_threads or cores))


def _check_localization(options: StudyOptions, config: Config) -> dict[str, str]:
    """The reason why localization is impossible, as `Plan.left_out`; empty if it is possible."""
    folder = evaluation_folder(config.data, None)
    if problem := localization_problem(folder, options.boxes, config):
        return {"localization": problem}
    images = read_boxed(folder, options.boxes)
    for path, boxes in zip(images.paths, images.boxes, strict=True):
        boxes_in_crop(path, boxes, config)
    return {}


def _classifier(
    options: StudyOptions, extra: Sequence[str], method: str, seed: int, evaluations: Sequence[str], jobs: int
) -> Classifier:
    folder = (options.folder / f"{method}-{seed}").absolute()
    last, log, run = folder / "last.pt", folder / "log.txt", _python(options)
    threads = str(max(1, len(os.sched_getaffinity(0)) // (jobs * options.processes)))
    machine = ["--device", options.device, "--num-threads", threads]
    fresh = _arguments(options, extra, method, seed)

    evaluate = [*run, "train.evaluate", "all", str(last), "--steps", str(options.steps)]
    evaluate += ["--noise-images", str(options.noise_images), *(["--ood", *options.ood] if options.ood else [])]
    evaluate += [*(["--boxes", str(options.boxes)] if options.boxes else []), *machine, "--only"]

    def missing() -> list[str]:
        return [name for name in evaluations if not result(folder, name).exists()]

    steps = [
        train_step("train", run, fresh, folder, machine, log),
        Step("evaluate", [*evaluate, *evaluations], log, lambda: not missing(), lambda: [*evaluate, *missing()]),
        *transfer.steps(options, seed, folder, last, run, jobs),
    ]
    return Classifier(method, seed, folder, tuple(steps), _config(options, extra, method, seed))


def _random(options: StudyOptions, seed: int, jobs: int) -> Training:
    folder = (options.folder / f"{transfer.RANDOM}-{seed}").absolute()
    steps = transfer.steps(options, seed, folder, None, _python(options), jobs)
    return Training(transfer.RANDOM, seed, folder, tuple(steps))


def _python(options: StudyOptions) -> list[str]:
    """The beginning of every command, up to the module's name."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(options.processes), "-m"]
    return [sys.executable, "-m", *(launcher if options.processes > 1 else [])]


def check_or_save_options(plan: Plan) -> None:
    """Write the options to ``study.json`` in the study's folder, or check that they are those written there before.

    Raises:
        ValueError: the study in this folder has other options; the message gives both values.
        OSError: the file cannot be written.
    """
    folder = plan.options.folder
    folder.mkdir(parents=True, exist_ok=True)
    here = {**_as_text(vars(plan.options)), "--": " ".join(plan.extra)}
    path = folder / "study.json"
    if not path.exists():
        write_atomically(path, json.dumps(here, indent=2).encode())
        return
    defaults = _as_text({field.name: field.default for field in dataclasses.fields(StudyOptions)})
    noted = read_object(path, "remove it if the options are those of the study, or give another --output.")
    there = defaults | {"--": ""} | noted  # options added since an older version wrote it are missing
    different = [f"{name}: {there[name]} there, {here[name]} given" for name in here if there[name] != here[name]]
    if different:
        raise ValueError(
            f"{folder} holds a study with other options ({'; '.join(different)}); give the same, or another --output."
        )


def _as_text(options: Mapping[str, Any]) -> dict[str, str]:
    """The options that must not change, as text, by their names on the command line."""
    return {
        f"--{name.replace('_', '-')}": str(value) for name, value in options.items() if name not in CHANGEABLE_ON_RERUN
    }

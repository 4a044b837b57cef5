"""Transfer: fine-tuning of a study's classifiers, as steps of its plan."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from train.captioning.config import CaptioningConfig
from train.captioning.data import open_captioned
from train.checkpoint import Checkpoint
from train.command_line import parse
from train.detection.config import DetectionConfig
from train.detection.data import open_annotated
from train.recipes import config_of
from train.study.options import Options
from train.study.step import Step, result

RANDOM = "random"
"""The network that was not trained, beside the methods."""
EVALUATIONS = {"voc-ssd300": "detection", "voc-faster-rcnn": "detection", "coco-nic": "captioning"}


def check_data(options: Options) -> None:
    """Read what the recipes will take.

    Raises:
        FileNotFoundError, ValueError: it is missing or wrong.
    """
    for recipe in options.transfer:
        config = parse(_recipe(options, recipe))
        for split in ("train", "val"):
            if isinstance(config, CaptioningConfig):
                open_captioned(config.data, split)
            else:
                open_annotated(cast(DetectionConfig, config).data, split)


def steps(
    options: Options, seed: int, folder: Path, backbone: Path | None, run: Sequence[str], jobs: int
) -> list[Step]:
    """Training and evaluation of every recipe.

    Args:
        folder: of the classifier.
        backbone: its checkpoint; None for a random network.
        run: what every command begins with.
    """
    found = []
    for recipe in options.transfer:
        own = folder / recipe
        last, log = own / "last.pt", folder / "log.txt"
        fresh = [*_recipe(options, recipe), "--seed", str(seed), "--output-dir", str(own)]
        fresh += ["--backbone", str(backbone)] if backbone else []
        cores = max(1, len(os.sched_getaffinity(0)) // (jobs * options.processes))
        machine = ["--device", options.device, "--num-threads", str(cores)]
        train = [*run, "train", *(["--resume", str(own)] if last.exists() else fresh), *machine]
        train += ["--cpu-threads", str(cores)]
        name = EVALUATIONS[recipe]
        evaluate = [*run, "train.evaluate", name, str(last), *machine]
        found.append(Step(f"{recipe}, train", train, log, lambda last=last: is_finished(last)))  # type: ignore[misc]
        found.append(Step(f"{recipe}, evaluate", evaluate, log, result(own, name).exists))
    return found


def _recipe(options: Options, recipe: str) -> list[str]:
    data = dict(text.split("=", 1) for text in options.transfer_data)
    return [recipe, *(["--data", str(Path(data[recipe]).absolute())] if recipe in data else ["--embedded"])]


def is_finished(last: Path) -> bool:
    """Whether a run has nothing left to do, by its last checkpoint."""
    if not last.exists():
        return False
    checkpoint = Checkpoint.load(last)
    config = config_of(checkpoint.config)
    return checkpoint.step >= config.iterations if config.iterations else checkpoint.epoch >= config.epochs

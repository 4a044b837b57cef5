"""Transfer: fine-tuning of a study's classifiers to detection and captioning, as steps of its plan."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch

from train.cli import parse
from train.config import CaptioningConfig, Config, DetectionConfig
from train.engine import Ranks
from train.models import classifiers, resnet
from train.study.options import StudyOptions
from train.study.step import Step, result, train_step
from train.tasks import batch_size_per_process
from train.tasks.captioning import open_captioned
from train.tasks.detection import open_annotated

RANDOM = "random"
"""Name of the untrained network, among the methods."""
EVALUATIONS = {"voc-ssd300": "detection", "voc-faster-rcnn": "detection", "coco-nic": "captioning"}
"""The evaluator of each recipe."""
TRAIN_ALL = {"voc-ssd300": [], "voc-faster-rcnn": ["--no-freeze-norm"], "coco-nic": ["--fine-tune"]}
"""Options of each recipe for a random network, whose batch norm or ResNet must not be frozen."""


def check_data(options: StudyOptions, config: Config) -> None:
    """Check everything that the recipes need: the classifier's network, batch sizes, data.

    Args:
        options: the study's options.
        config: configuration of a classifier.

    Raises:
        FileNotFoundError, ValueError: data are missing or wrong, or options do not fit.
    """
    batch_size_per_process(config.batch_size, Ranks(0, options.processes, torch.device("cpu")))
    recipes = {recipe: parse(_recipe(options, recipe)) for recipe in options.transfer}
    for recipe, own in recipes.items():
        if own.batch_size % options.processes:
            raise ValueError(
                f"--processes {options.processes} given, among which the batch of --transfer {recipe}, "
                f"{own.batch_size} images, cannot be divided equally; give a number that divides it."
            )
        if not _fits(config.model, own.model):
            raise ValueError(
                f"--transfer {recipe} needs classifiers of the network {own.model}, but they are {config.model}, "
                f"whose weights do not fit; give --model {own.model} after --, or another recipe of classifiers. With "
                f"--transfer-data {recipe}=DIR the network is resnet50, without it resnet10."
            )
    for own in recipes.values():
        for split in ("train", "val"):
            if isinstance(own, CaptioningConfig):
                open_captioned(own.data, split)
            else:
                open_annotated(cast(DetectionConfig, own).data, split)


def _fits(classifier: str, network: str) -> bool:
    """Whether a classifier has all tensors of a ResNet except the last layer's, with the same shapes."""
    with torch.device("meta"):
        theirs, ours = (model.state_dict() for model in (classifiers.build(classifier, 1), resnet(network)))
    body = {name: tensor.shape for name, tensor in ours.items() if not name.startswith("fc.")}
    return all(name in theirs and theirs[name].shape == shape for name, shape in body.items())


def steps(
    options: StudyOptions, seed: int, folder: Path, backbone: Path | None, run: Sequence[str], jobs: int
) -> list[Step]:
    """Make the steps of fine-tuning: training and evaluation of each recipe.

    Args:
        options: the study's options.
        seed: seed of the trainings.
        folder: the classifier's folder.
        backbone: the classifier's checkpoint; None for a random network.
        run: beginning of every command.
        jobs: number of trainings at once.
    """
    found = []
    for recipe in options.transfer:
        own, log, name = folder / recipe, folder / "log.txt", EVALUATIONS[recipe]
        weights = ["--backbone", str(backbone)] if backbone else TRAIN_ALL[recipe]
        fresh = [*_recipe(options, recipe), "--seed", str(seed), *weights]
        cores = str(max(1, len(os.sched_getaffinity(0)) // (jobs * options.processes)))
        machine = ["--device", options.device, "--num-threads", cores]
        found.append(train_step(f"{recipe}, train", run, fresh, own, [*machine, "--cpu-threads", cores], log))
        evaluate = [*run, "train.evaluate", name, str(own / "last.pt"), *machine]
        found.append(Step(f"{recipe}, evaluate", evaluate, log, result(own, name).exists))
    return found


def _recipe(options: StudyOptions, recipe: str) -> list[str]:
    data = dict(text.split("=", 1) for text in options.transfer_data)
    return [recipe, *(["--data", str(Path(data[recipe]).absolute())] if recipe in data else ["--embedded"])]

"""A trained model, loaded from a checkpoint for an evaluator."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import nn

import dali_cutmix as dc
from train.config import Config, RunConfig
from train.data import DataSplit, open_evaluation_split
from train.engine import Checkpoint, Ranks, check_weights, digest_of_file, find_checkpoint
from train.evaluation.evaluator import EvaluatorOptions
from train.models import classifiers
from train.recipes import config_of
from train.tasks import classification

C = TypeVar("C", bound=RunConfig)

OF_EACH_MACHINE = {"checkpoint", "data", "output", "device", "num_threads"}
"""Options that may differ between processes; of the first two the contents are compared."""


@dataclass(frozen=True)
class Trained(Generic[C]):
    """A trained model with its checkpoint and configuration."""

    path: Path
    """File of the checkpoint."""
    checkpoint: Checkpoint
    config: C
    """Configuration of the training, with the evaluator's batch size and threads."""
    model: nn.Module
    """The model in evaluation mode, on the process's device."""
    weights: str
    """Which weights the model has: "model" or "ema"."""


def open_trained(options: EvaluatorOptions, ranks: Ranks) -> Trained[Config]:
    """Load a classifier from a checkpoint, or from the last one of a run folder.

    Raises:
        FileNotFoundError, ValueError: see `open_task`.
    """
    return open_task(
        options, ranks, Config, "classifier", lambda config, classes: classifiers.build(config.model, len(classes))
    )


def open_task(
    options: EvaluatorOptions, ranks: Ranks, kind: type[C], what: str, build: Callable[[C, list[str]], nn.Module]
) -> Trained[C]:
    """Load the model of a task from a checkpoint, or from the last one of a run folder.

    PyTorch computes with as many threads as in training.

    Args:
        options: the evaluator's options.
        ranks: this process among all.
        kind: type of the task's configuration.
        what: what the task trains, for messages.
        build: function that makes the model with random weights from the configuration and the checkpoint's classes.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: the checkpoint is invalid, of another task, or does not fit this version's models.
    """
    path = find_checkpoint(options.checkpoint)
    checkpoint, config = read_task(path, kind, what)
    batch_size = config.batch_size if options.batch_size is None else options.batch_size
    config = dataclasses.replace(config, num_threads=options.num_threads, batch_size=batch_size)
    if config.cpu_threads:
        torch.set_num_threads(config.cpu_threads)
    try:
        model = build(config, checkpoint.classes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    weights = choose_weights(model, checkpoint, path, options.weights)
    if config.channels_last:
        model = model.to(memory_format=torch.channels_last)
    return Trained(path, checkpoint, config, model.to(ranks.device).eval(), weights)


def read_task(path: Path, kind: type[C], what: str) -> tuple[Checkpoint, C]:
    """Read a task's checkpoint and its configuration; arguments and errors are those of `open_task`."""
    checkpoint = Checkpoint.load(path)
    config = config_of(checkpoint.config, path)
    if not isinstance(config, kind):
        raise ValueError(
            f"{path} is not a {what}: it was trained by the recipe {config.recipe!r}; give the checkpoint of a {what}."
        )
    return checkpoint, config


def choose_weights(model: nn.Module, checkpoint: Checkpoint, path: Path, weights: str) -> str:
    """Load weights of a checkpoint into a model.

    Args:
        model: the model.
        checkpoint: content of the checkpoint.
        path: its file, for messages.
        weights: "model", "ema", or "auto": "ema" if the checkpoint has averaged weights.

    Returns:
        "model" or "ema".

    Raises:
        ValueError: the checkpoint has no such weights, or they do not fit the model.
    """
    if weights == "auto":
        weights = "ema" if checkpoint.ema else "model"
    state = checkpoint.ema if weights == "ema" else checkpoint.model
    if state is None:
        raise ValueError(f"{path} has no averaged weights (it was trained without --ema); give --weights model.")
    try:
        check_weights(state, model, same_types=False)
    except ValueError as error:
        name = checkpoint.config.get("model")
        raise ValueError(f"{path}: its weights do not fit the model {name!r}: {error}.") from error
    model.load_state_dict(state)
    return weights


def open_data(trained: Trained[Config], options: EvaluatorOptions, ranks: Ranks) -> tuple[DataSplit, dc.Loader]:
    """Open the images of ``--data``, and make a loader that prepares them as in validation.

    Raises:
        FileNotFoundError: there are no such data.
        ValueError: they have other classes than the checkpoint.
    """
    split = open_evaluation_split(options.data, trained.config.data)
    loader = classification.val_loader(trained.config, ranks, split)
    classification.check_classes(trained.checkpoint.classes, loader.classes, split.name)
    check_same(trained, options, ranks, {"validation": loader})
    return split, loader


def check_same(trained: Trained[C], options: EvaluatorOptions, ranks: Ranks, loaders: Mapping[str, dc.Loader]) -> None:
    """Compare checkpoint, data and options on all processes.

    Raises:
        ValueError: they differ.
    """
    if ranks.world_size > 1:
        own = {name: value for name, value in vars(options).items() if name not in OF_EACH_MACHINE}
        ranks.check_same(loaders, also={"checkpoint": digest_of_file(trained.path), **own})

"""A trained model: a checkpoint opened for an evaluator."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import nn

import dali_cutmix as dc
from train.config import Config, RunConfig
from train.data import DataSplit, open_evaluation_split
from train.engine import Checkpoint, Ranks, find_checkpoint
from train.evaluation.evaluator import EvaluatorOptions
from train.models import classifiers
from train.recipes import config_of
from train.tasks import classification

C = TypeVar("C", bound=RunConfig)


@dataclass(frozen=True)
class Trained(Generic[C]):
    """What an evaluator needs of a run."""

    path: Path
    """The checkpoint's file."""
    checkpoint: Checkpoint
    config: C
    """Of the training, with the evaluator's batch size and threads."""
    model: nn.Module
    """In evaluation mode, on the process's device."""
    weights: str
    """Which ones: "model" or "ema"."""


def open_trained(options: EvaluatorOptions, ranks: Ranks) -> Trained[Config]:
    """Load a classifier's checkpoint, or a run folder's last one; errors as in `open_task`."""
    return open_task(
        options, ranks, Config, "classifier", lambda config, classes: classifiers.build(config.model, len(classes))
    )


def open_task(
    options: EvaluatorOptions, ranks: Ranks, kind: type[C], what: str, build: Callable[[C, list[str]], nn.Module]
) -> Trained[C]:
    """Load a task's checkpoint, or a run folder's last one; as many threads do the arithmetic as in training.

    Args:
        kind: configuration of the task.
        what: it trains, for messages.
        build: the model with random weights, from the configuration and the checkpoint's classes.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is none, another task's, or does not fit this version's models.
    """
    path = find_checkpoint(options.checkpoint)
    checkpoint, config = read_task(path, kind, what)
    batch_size = config.batch_size if options.batch_size is None else options.batch_size
    config = dataclasses.replace(config, num_threads=options.num_threads, batch_size=batch_size)
    if config.cpu_threads:
        torch.set_num_threads(config.cpu_threads)
    model = build(config, checkpoint.classes)
    weights = choose_weights(model, checkpoint, path, options.weights)
    if config.channels_last:
        model = model.to(memory_format=torch.channels_last)
    return Trained(path, checkpoint, config, model.to(ranks.device).eval(), weights)


def read_task(path: Path, kind: type[C], what: str) -> tuple[Checkpoint, C]:
    """A task's checkpoint, and its configuration as it was trained; arguments and errors as in `open_task`."""
    checkpoint = Checkpoint.load(path)
    config = config_of(checkpoint.config)
    if not isinstance(config, kind):
        raise ValueError(f"{path}: no {what}, it was trained by the recipe {config.recipe!r}; give one that is.")
    return checkpoint, config


def choose_weights(model: nn.Module, checkpoint: Checkpoint, path: Path, weights: str) -> str:
    """Load a checkpoint's weights into a model: "model", "ema", or "auto", which is "ema" if it has them; which it was.

    Raises:
        ValueError: it has no such weights, or they do not fit the model.
    """
    if weights == "auto":
        weights = "ema" if checkpoint.ema else "model"
    state = checkpoint.ema if weights == "ema" else checkpoint.model
    if state is None:
        raise ValueError(f"{path} has no averaged weights (it was trained without --ema); give --weights model.")
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path}: its weights do not fit the model {checkpoint.config['model']!r}: {error}") from error
    return weights


def open_data(trained: Trained[Config], options: EvaluatorOptions, ranks: Ranks) -> tuple[DataSplit, dc.Loader]:
    """What ``--data`` means, and its batches as validation sees them.

    Raises:
        FileNotFoundError: there is no such data.
        ValueError: it has other classes than the checkpoint.
    """
    split = open_evaluation_split(options.data, trained.config.data)
    loader = classification.val_loader(trained.config, ranks, split)
    classification.check_classes(trained.checkpoint.classes, loader.classes, split.name)
    return split, loader

"""The interface between the training loop and what is trained: data, model, loss and metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor, nn

import dali_cutmix as dc
from train.engine.metrics_log import Row


class Task(Protocol):
    """The task of a run on this process; `train.tasks.make_task` makes one from a configuration.

    How the engine uses it::

        start    model(), groups(model)              once
        fit      loss(forward, batch of loader)      each step
                 evaluate(model), describe(row)      each validated epoch; val_loader inside

    Implementations: `train.tasks.classification.Classification`, `train.tasks.detection.Detection`,
    `train.tasks.captioning.Captioning`.
    """

    loader: dc.Loader
    """Training batches."""
    val_loader: dc.Loader
    """Validation batches."""
    origin: str
    """Description of the initial weights; set when `model` is called."""
    classes: tuple[str, ...]
    """Meanings of the model's outputs, in their order, for checkpoints."""
    metrics: tuple[str, ...]
    """Names of the metrics that `evaluate` measures; columns of metrics.csv."""
    fixed_shapes: bool
    """Whether all training images have the same size."""
    best: str
    """Name of the metric, in percent, that decides which epoch is the best."""

    def model(self) -> nn.Module:
        """Make a new model with the run's initial weights, on the CPU.

        Raises:
            ValueError, OSError: there is no such model, or the initial weights do not fit or cannot be read.
        """

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """The model's parameter groups for the optimizer, each with its ``lr_scale``."""

    def loss(self, forward: Callable[..., Any], batch: list[Tensor]) -> Tensor:
        """Loss of one training batch: a float32 scalar with its gradient. With ``--amp`` it is called under autocast.

        Args:
            forward: the model, possibly wrapped or compiled.
            batch: a batch of `loader`, on the process's device: N×3×H×W float32 images, then the task's targets.
        """

    def evaluate(self, model: nn.Module) -> Row:
        """Validate a model over all processes; return the values of `metrics`."""

    def describe(self, row: Row) -> str:
        """An epoch's metrics in one line, for the log."""

    def headline(self, row: Row) -> str:
        """The main metric in words, for the end of a run."""

    def check_classes(self, saved: list[str]) -> None:
        """Refuse to continue a checkpoint with other classes.

        Raises:
            ValueError: the classes differ; the message says how.
        """

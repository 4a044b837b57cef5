"""What a run trains: its data, model, loss and metrics. The loop knows nothing of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor, nn

import dali_cutmix as dc
from train.engine.metrics_log import Row


class Task(Protocol):
    """One task of this process, made from a configuration."""

    loader: dc.Loader
    """Training batches."""
    val_loader: dc.Loader
    """Validation batches."""
    origin: str
    """What the first weights are; known once `model` has been called."""
    classes: tuple[str, ...]
    """What the model's outputs mean, in their order; for checkpoints."""
    metrics: tuple[str, ...]
    """Names of what `evaluate` measures, columns of metrics.csv."""
    fixed_shapes: bool
    """Whether all training images have one size."""
    best: str
    """The metric, percent, by which the best epoch is chosen."""

    def model(self) -> nn.Module:
        """A new model with the weights that a run begins with, on the CPU.

        Raises:
            ValueError, OSError: there is no such model, or weights to begin with do not fit.
        """

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """The model's parameters for the optimizer, each group with its ``lr_scale``."""

    def loss(self, forward: Callable[..., Any], batch: list[Tensor]) -> Tensor:
        """Of one training batch: a scalar, float32, with its gradient. The loop calls it under autocast with ``--amp``.

        Args:
            forward: the model, perhaps wrapped or compiled.
            batch: what `loader` gives, on the process's device: N×3×H×W float32 images first, then what the task's
                loader has beside them.
        """

    def evaluate(self, model: nn.Module) -> Row:
        """Validate a model, over all processes."""

    def describe(self, row: Row) -> str:
        """An epoch's metrics in one line."""

    def headline(self, row: Row) -> str:
        """The metric that counts, in words."""

    def check_classes(self, saved: list[str]) -> None:
        """Refuse to continue a checkpoint whose classes are others.

        Raises:
            ValueError: they are; both are named.
        """

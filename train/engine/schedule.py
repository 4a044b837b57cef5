"""The learning rate as a pure function of the step: it has no state to save or restore."""

from __future__ import annotations

import math
from dataclasses import dataclass

from train.config import RunConfig


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then division by ten at milestones, or a cosine to zero.

    Example::

        >>> schedule = Schedule(peak=0.1, total=100, milestones=(50,))
        >>> [round(schedule(step), 4) for step in (0, 49, 50)]
        [0.1, 0.1, 0.01]

    Args:
        peak: learning rate after warm-up.
        total: number of steps of the whole run.
        warmup: number of warm-up steps, 0 for none. Step s of them has the rate peak·(s+1)/warmup.
        milestones: steps at which the rate is divided by ten; None for a cosine from ``warmup`` to ``total``.
    """

    peak: float
    total: int
    warmup: int = 0
    milestones: tuple[int, ...] | None = None

    @classmethod
    def from_config(cls, config: RunConfig, steps_per_epoch: int) -> Schedule:
        """Make the schedule of a run; epochs are converted to steps (rounded to the nearest).

        Raises:
            ValueError: warm-up is longer than the run.
        """
        unit = 1 if config.iterations else steps_per_epoch
        total, warmup = config.steps(steps_per_epoch), round(config.warmup_epochs * steps_per_epoch)
        if warmup > total:
            raise ValueError(
                f"--warmup-epochs {config.warmup_epochs:g} are {warmup} steps, but the run has {total} (--iterations); "
                "warm-up is part of the run, so give at most that many."
            )
        return cls(
            peak=config.lr,
            total=total,
            warmup=warmup,
            milestones=tuple(round(m * unit) for m in config.milestones) if config.schedule == "step" else None,
        )

    def __call__(self, step: int) -> float:
        """Learning rate of the step of this number, counted from 0."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        if self.milestones is not None:
            return self.peak * 0.1 ** sum(step >= milestone for milestone in self.milestones)
        done = (step - self.warmup) / max(self.total - self.warmup, 1)
        return self.peak * 0.5 * (1 + math.cos(math.pi * done))

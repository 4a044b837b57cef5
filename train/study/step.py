"""A step of a study: a command, how it is continued, and where its results are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from train.engine import Checkpoint
from train.recipes import config_of


@dataclass(frozen=True)
class Step:
    """One command of a study."""

    name: str
    command: list[str]
    """The whole command, which the report shows."""
    log: Path
    """File for the output of the command."""
    is_done: Callable[[], bool]
    rest: Callable[[], list[str] | None] = lambda: None
    """Function that returns the command for what an interrupted start has left to do; None if there was no start."""

    def to_start(self) -> list[str]:
        """The command to start now."""
        return self.rest() or self.command


def train_step(
    name: str, run: Sequence[str], fresh: Sequence[str], folder: Path, machine: Sequence[str], log: Path
) -> Step:
    """Make the step of a training, which continues from its last checkpoint if there is one.

    Args:
        name: name of the step.
        run: beginning of the command, up to the module's name.
        fresh: options of a new training only.
        folder: the run's folder.
        machine: options of new and of continued trainings.
        log: file for the output.
    """
    last = folder / "last.pt"
    resumed = [*run, "train", "--resume", str(folder), *machine]
    return Step(
        name,
        [*run, "train", *fresh, "--output-dir", str(folder), *machine],
        log,
        is_done=lambda: is_finished(last),
        rest=lambda: resumed if last.exists() else None,
    )


def is_finished(last: Path) -> bool:
    """Whether a run is finished, by its last checkpoint."""
    if not last.exists():
        return False
    checkpoint = Checkpoint.load(last)
    return config_of(checkpoint.config, last).is_over(checkpoint.step, checkpoint.epoch)


def result(folder: Path, evaluation: str) -> Path:
    """The JSON file that an evaluation of a training writes."""
    return folder / f"last.{evaluation}.json"

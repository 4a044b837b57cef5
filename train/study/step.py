"""A step of a study: one command, how it goes on, and where its results are."""

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
    """That does all of it; the report shows it."""
    log: Path
    is_done: Callable[[], bool]
    rest: Callable[[], list[str] | None] = lambda: None
    """The command that does what an earlier start left to do; None where there was none."""

    def to_start(self) -> list[str]:
        """The command, as things stand."""
        return self.rest() or self.command


def train_step(
    name: str, run: Sequence[str], fresh: Sequence[str], folder: Path, machine: Sequence[str], log: Path
) -> Step:
    """A training, which goes on from its last checkpoint.

    Args:
        run: what the command begins with, up to the module's name.
        fresh: options of a new training only.
        folder: that it writes into.
        machine: options that a continued one takes, too.
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
    """Whether a run has nothing left to do, by its last checkpoint."""
    if not last.exists():
        return False
    checkpoint = Checkpoint.load(last)
    return config_of(checkpoint.config).is_over(checkpoint.step, checkpoint.epoch)


def result(folder: Path, evaluation: str) -> Path:
    """Where an evaluation of a training writes its numbers."""
    return folder / f"last.{evaluation}.json"

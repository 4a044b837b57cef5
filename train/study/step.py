"""A step of a study: one command, and where its results are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """One command of a study."""

    name: str
    command: list[str]
    log: Path
    is_done: Callable[[], bool]


def result(folder: Path, evaluation: str) -> Path:
    """Where an evaluation of a training writes its numbers."""
    return folder / f"last.{evaluation}.json"

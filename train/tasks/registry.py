"""Tasks by the types of their configurations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from train.config import CaptioningConfig, Config, DetectionConfig, RunConfig
from train.engine import Ranks, Task
from train.tasks.captioning import Captioning
from train.tasks.classification import Classification
from train.tasks.detection import Detection

TASKS: dict[type[RunConfig], Callable[[Any, Ranks, Path], Task]] = {
    Config: Classification,
    DetectionConfig: Detection,
    CaptioningConfig: Captioning,
}


def make_task(config: RunConfig, ranks: Ranks, folder: Path) -> Task:
    """Make the task of a configuration, with its loaders.

    Args:
        config: its type decides the task.
        ranks: this process among all.
        folder: the run's folder.

    Raises:
        FileNotFoundError, ValueError: the data are missing or wrong, see the tasks' classes.
    """
    return TASKS[type(config)](config, ranks, folder)

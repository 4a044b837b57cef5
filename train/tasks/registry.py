"""Which task a configuration is of."""

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
    """The task with its loaders; errors as in the tasks' own classes.

    Args:
        folder: of the run.
    """
    return TASKS[type(config)](config, ranks, folder)

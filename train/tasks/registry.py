"""Which task a configuration is of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from train.config.captioning import CaptioningConfig
from train.config.classification import Config
from train.config.detection import DetectionConfig
from train.config.run import RunConfig
from train.engine.distributed import Ranks
from train.engine.task import Task
from train.tasks.captioning.task import Captioning
from train.tasks.classification import Classification
from train.tasks.detection.task import Detection

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

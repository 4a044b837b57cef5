"""Which task a configuration is of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from train.captioning.config import CaptioningConfig
from train.captioning.task import Captioning
from train.classification import Classification
from train.config import Config
from train.detection.config import DetectionConfig
from train.detection.task import Detection
from train.distributed import Ranks
from train.run_config import RunConfig
from train.task import Task

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

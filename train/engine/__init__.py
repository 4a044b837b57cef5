"""A run: the training loop, its state, checkpoints, processes, logs."""

from train.engine.checkpoint import Checkpoint, find
from train.engine.distributed import Ranks, join, resolve_device
from train.engine.ema import Ema
from train.engine.loop import fit
from train.engine.metrics_log import Row
from train.engine.preemption import STATUS, Preemption
from train.engine.run import FREE, Run
from train.engine.schedule import Schedule
from train.engine.task import Task

__all__ = [
    "FREE",
    "STATUS",
    "Checkpoint",
    "Ema",
    "Preemption",
    "Ranks",
    "Row",
    "Run",
    "Schedule",
    "Task",
    "find",
    "fit",
    "join",
    "resolve_device",
]

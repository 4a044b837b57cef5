"""A run: the training loop, its state, checkpoints, processes, logs."""

from train.engine.checkpoint import Checkpoint, find_checkpoint
from train.engine.distributed import Ranks, join_process_group, resolve_device
from train.engine.ema import Ema
from train.engine.loop import fit
from train.engine.metrics_log import Row
from train.engine.preemption import PREEMPTED_STATUS, Preemption
from train.engine.resume import CHANGEABLE_ON_RESUME
from train.engine.run import Run
from train.engine.schedule import Schedule
from train.engine.task import Task

__all__ = [
    "CHANGEABLE_ON_RESUME",
    "PREEMPTED_STATUS",
    "Checkpoint",
    "Ema",
    "Preemption",
    "Ranks",
    "Row",
    "Run",
    "Schedule",
    "Task",
    "find_checkpoint",
    "fit",
    "join_process_group",
    "resolve_device",
]

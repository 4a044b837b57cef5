"""The engine of a training run: the loop and everything that it moves, whatever the task.

The way of one step, in `fit`::

    Task.loader ──▶ batch ──▶ Task.loss(forward, batch) ──▶ backward ──▶ optimizer ──▶ Ema ──▶ step + 1
                                                                           ▲
                                            learning rate: Schedule(step) ─┘

`Run` holds all that changes: model, optimizer, averaged weights, step, history. `Checkpoint` is a run in a file;
`resume` says what a continued run may change. `Ranks` is this process among all of the run, `Preemption` turns a
SIGTERM into a checkpoint, `metrics_log` and `progress` show how far the run is. A `Task` brings data, model, loss and
metrics. No process waits for ever for another one::

    Meeting ──▶ Peers   heartbeats and activities of all processes, in the store of torchrun
       │
       └──────▶ Watch   a thread that ends a process which waits in vain, and names for whom
"""

from train.engine.checkpoint import Checkpoint, digest_of_file, find_checkpoint, read_tensors
from train.engine.checkpoint_fit import check_weights
from train.engine.distributed import Ranks, join_process_group, resolve_device
from train.engine.ema import Ema
from train.engine.loop import fit
from train.engine.meeting import Meeting
from train.engine.metrics_log import Row
from train.engine.preemption import Preemption
from train.engine.resume import CHANGEABLE_ON_RESUME
from train.engine.run import Run
from train.engine.schedule import Schedule
from train.engine.task import Task
from train.engine.watch import PREEMPTED_STATUS, TIMEOUT

__all__ = [
    "CHANGEABLE_ON_RESUME",
    "PREEMPTED_STATUS",
    "TIMEOUT",
    "Checkpoint",
    "Ema",
    "Meeting",
    "Preemption",
    "Ranks",
    "Row",
    "Run",
    "Schedule",
    "Task",
    "check_weights",
    "digest_of_file",
    "find_checkpoint",
    "fit",
    "join_process_group",
    "read_tensors",
    "resolve_device",
]

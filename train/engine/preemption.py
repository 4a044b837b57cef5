"""Preemption by a scheduler: all processes of a run stop after the same step once one of them has received SIGTERM."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist

from train.engine.distributed import Ranks


class Preemption:
    """A callable that says after each step whether to stop, and a context that handles SIGTERM meanwhile.

    Processes receive the signal at different steps, but they must save the checkpoint after the same one. So in each
    step every process sends its flag to the others, and reads the sum of the flags sent in the step before::

        step            1       2       3
        rank 0 sends    0       0       0
        rank 1 sends    0       1       1       SIGTERM came during its step 2
        all read        –       0       1       all stop after step 3

    This never waits for a device: the flags are numbers on the hosts, which gloo sums in a thread of its own while the
    next step is computed. A process that waits for one that does not come is ended by `train.engine.watch.Watch`.
    """

    def __init__(self, ranks: Ranks) -> None:
        self._requested = False
        self._group: Any = dist.new_group(backend="gloo") if ranks.world_size > 1 else None
        self._watched = ranks.meeting.sigterm()
        self._sent: tuple[torch.Tensor, Any] | None = None

    def __enter__(self) -> Preemption:
        self._before = signal.signal(signal.SIGTERM, self._request)
        self._watched.__enter__()
        return self

    def _request(self, number: int, frame: FrameType | None) -> None:
        self._requested = True

    def __call__(self) -> bool:
        """Whether to stop now, the same for all processes; each process must call this once per step."""
        if self._group is None:
            return self._requested
        stop = self._received()
        flags = torch.tensor(int(self._requested))
        self._sent = flags, dist.all_reduce(flags, group=self._group, async_op=True)
        return stop

    def _received(self) -> bool:
        if self._sent is None:
            return False
        flags, work = self._sent
        work.wait()
        return bool(flags)

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        if self._group is not None and kind is None:
            self._received()
        self._watched.__exit__(None, None, None)
        signal.signal(signal.SIGTERM, self._before)

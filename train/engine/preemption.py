"""A scheduler's SIGTERM: noted when it comes, heeded by all processes after the same step."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist

from train.engine.distributed import Ranks

PREEMPTED_STATUS = 128 + signal.SIGTERM
"""Exit status, 143, of a run that got SIGTERM and saved. Shells and schedulers report the same of a process that the
signal itself ended, as it does during set-up; so a job script has one case to know, and not a second one for 75
(EX_TEMPFAIL)."""


class Preemption:
    """Tells `train.engine.loop.fit` after each step whether to stop there; a context that holds the signal's handler.

    Processes see the signal at different steps, and a checkpoint is made by all of them after the same one. So each
    step sends every process's note to the others and reads what the step before has sent. That waits for no device:
    the notes are numbers on the hosts, which gloo sums up in a thread of its own while the next step is computed.
    """

    def __init__(self, ranks: Ranks) -> None:
        self._noted = False
        self._group: Any = dist.new_group(backend="gloo") if ranks.world_size > 1 else None
        self._sent: tuple[torch.Tensor, Any] | None = None

    def __enter__(self) -> Preemption:
        self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = True

    def __call__(self) -> bool:
        """Whether to stop now, the same for all processes; each must ask once for each step."""
        if self._group is None:
            return self._noted
        asked = self._received()
        notes = torch.tensor(int(self._noted))
        self._sent = notes, dist.all_reduce(notes, group=self._group, async_op=True)
        return asked

    def _received(self) -> bool:
        if self._sent is None:
            return False
        notes, work = self._sent
        work.wait()
        return bool(notes)

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        if self._group is not None and kind is None:
            self._received()
        signal.signal(signal.SIGTERM, self._before)

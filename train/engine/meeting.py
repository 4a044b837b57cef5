"""Meeting: how the processes of a run find each other, and how they end together, with one message."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import NoReturn

import torch.distributed as dist

from train.engine.peers import Peers, find_peers, first_line, name_ranks
from train.engine.watch import PREEMPTED_STATUS, Watch
from train.interrupts import INTERRUPTED

SILENCE = 2.0
"""Seconds in which a rank must give a heartbeat when the connection to some rank has broken."""
COLLECT = 1.0
"""Seconds that errors of several ranks may be apart to be told in one message."""


class Meeting:
    """A context in which no rank ends alone: what ends one of them ends all, and the first to end says why.

    A process alone is left as it is. With several, an error that leaves the context ends the process:

        ``SystemExit("error: …")``         one line, with the rank's number unless all have the same; status 1
        a broken connection to a rank      one line that names the rank; status 1
        another exception                  its traceback, and one line from the others; status 1

    Example::

        from train.engine import Meeting, join_process_group

        with Meeting() as meeting, join_process_group("auto", 600, meeting) as ranks:
            meeting.advice = lambda: "continue with the same command"
            print(ranks.rank)

    Args:
        advice: how to continue, for messages; a function may take its place later.
    """

    def __init__(self, advice: str = "training had not begun") -> None:
        self.peers = Peers(0, 1, None)
        self.advice: Callable[[], str] = lambda: advice
        self.watch: Watch | None = None

    def __enter__(self) -> Meeting:
        """Find the others.

        Raises:
            OSError: they cannot be reached.
        """
        self.peers = find_peers()
        if self.peers.world_size > 1:
            self.watch = Watch(self.peers, lambda: self.advice())
            self.watch.start()
        return self

    def set_timeout(self, seconds: float) -> None:
        """Let this rank wait so long for another one."""
        if self.watch:
            self.watch.timeout = seconds

    def say(self, text: str) -> None:
        """Print how the run ends, unless another rank has."""
        if self.peers.may_speak():
            print(text, file=sys.stderr, flush=True)

    def sigterm(self) -> AbstractContextManager[None]:
        """Context in which SIGTERM ends this rank, too, if it waits for a rank that does not come."""
        return self.watch.sigterm() if self.watch else nullcontext()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.watch is None:
            return
        if error is None:
            self.watch.leave()
            return
        self.watch.stop()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun sends it as soon as another rank has ended
        if isinstance(error, SystemExit) and not isinstance(error.code, str):
            if error.code not in (None, 0, PREEMPTED_STATUS):  # all ranks end with that together
                self.peers.leave(f"it ended with status {error.code}")
            end(error.code if isinstance(error.code, int) else 0)
        elif isinstance(error, KeyboardInterrupt):
            self.peers.leave("interrupted")
            end(INTERRUPTED)
        elif isinstance(error, SystemExit):
            self._end_all(str(error.code).removeprefix("error: "))
        elif is_broken_connection(error):
            self._end_without(error)
        else:
            traceback.print_exception(error)
            self.peers.leave(f"{type(error).__name__}: {first_line(error)}")
            end(1)

    def _end_all(self, why: str) -> NoReturn:
        """End because of this rank's own error."""
        self.peers.leave(why)
        if self.peers.may_speak():
            print(f"error: {self._collected({self.peers.rank: why})}", file=sys.stderr, flush=True)
        elif self.peers.rank == 0:  # it may keep the store, in which the one that speaks still reads
            time.sleep(COLLECT)
        end(1)

    def _collected(self, notes: dict[int, str]) -> str:
        """Errors of all ranks that have one."""
        until = time.monotonic() + COLLECT
        while len(notes) < self.peers.world_size and time.monotonic() < until:
            time.sleep(0.05)
            notes |= self.peers.notes()
        by_note: dict[str, list[int]] = {}
        for rank, note in notes.items():
            by_note.setdefault(note, []).append(rank)
        if len(by_note) == 1 and len(notes) == self.peers.world_size:
            return next(iter(by_note))
        return "; ".join(f"{name_ranks(ranks)}: {note}" for note, ranks in by_note.items())

    def _end_without(self, error: BaseException) -> NoReturn:
        """End because another rank has."""
        if not self.peers.notes():
            missing = self.peers.missing(SILENCE)
            lost = missing.who if missing else f"the connection to the others ({first_line(error)})"
            why = f"lost {lost}, {self.peers.activity.doing}"
            self.peers.leave(why)
            self.say(f"error: {why}; {self.advice()}")
        end(1)


def is_broken_connection(error: BaseException) -> bool:
    """Whether an exception says that another rank cannot be reached: gloo has no type of its own for that."""
    words = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer")
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


def end(status: int) -> NoReturn:
    """End the process at once: clean-up of a process group that has lost a rank may hang."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

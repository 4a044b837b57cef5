"""Peers: what the ranks of a run tell each other beside the process group, in the store that ``torchrun`` offers."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import torch.distributed as dist

from dali_cutmix.utils import printable

MEETING = timedelta(minutes=10)
"""Longest wait for the store."""
ANSWER = 3.0
"""Seconds that the store has for an answer."""
NAMED = 10
"""Ranks in a message at most; the others are counted."""


T = TypeVar("T")


class Activity(NamedTuple):
    """What a rank does; all ranks go through the same activities in the same order."""

    number: int
    """How many there were before: the rank with the smaller one is behind."""
    doing: str
    """In words, after "it is"."""
    waits: bool
    """Whether it may wait for other ranks."""
    since: float
    """When it began, on this rank's clock."""


class Missing(NamedTuple):
    """Ranks that cannot be waited for."""

    who: str
    """Their names and what is wrong, in words."""
    alive: bool
    """Whether all of them give signs of life: they are only late."""


class Peers:
    """This rank's view of the others; a process alone has none of them, and says everything itself.

    ::

        rank 0 ── heartbeat, activity ──▶ ┌───────┐
        rank 1 ── heartbeat, activity ──▶ │ store │ ◀── who is silent, behind, or has ended?
        rank 2 ── why it has ended ─────▶ └───────┘

    The store is a server of plain values beside the process group. So it answers whatever the backend is, and while the
    group's collectives hang.

    Example, a process alone::

        >>> peers = Peers(rank=0, world_size=1, store=None)
        >>> peers.enter("in step 1", waits=True)
        >>> peers.activity.doing, peers.missing(within=0.1)
        ('in step 1', None)

    Args:
        rank: number of this process.
        world_size: number of processes.
        store: where they meet; None for a process alone.
        host: who keeps the store, for messages.
    """

    def __init__(self, rank: int, world_size: int, store: dist.Store | None, host: str = "") -> None:
        self.rank, self.world_size, self._host = rank, world_size, host
        self.activity = Activity(0, "setting up", False, time.monotonic())
        self._store, self._beats = store, 0

    def enter(self, doing: str, waits: bool = False) -> None:
        """Begin another activity, as all ranks do."""
        self.activity = Activity(self.activity.number + 1, doing, waits, time.monotonic())

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for all others within an activity."""
        number, doing, waits, _ = self.activity
        self.activity = Activity(number + 1, doing, True, time.monotonic())
        yield
        self.activity = Activity(number + 1, doing, waits, time.monotonic())

    def beat(self) -> None:
        """Give a sign of life.

        Raises:
            RuntimeError: the store does not answer.
        """
        if self._store:
            self._beats += 1
            self._store.set(f"beat/{self.rank}", json.dumps([self._beats, *self.activity[:3]]))

    def someone_ended(self) -> bool:
        """Whether any rank has left a note.

        Raises:
            RuntimeError: the store does not answer.
        """
        return self._store is not None and self._store.check(["ended"])

    def leave(self, why: str) -> None:
        """Let the others know that this rank ends, and that they must end, too."""
        if store := self._store:
            self._ask(lambda: store.set(f"ended/{self.rank}", why))
            self._ask(lambda: store.set("ended", "1"))

    def may_speak(self) -> bool:
        """Whether this rank is the first to ask; so one of them prints how the run ends."""
        store, mine = self._store, str(self.rank)
        answer = self._ask(lambda: store.compare_set("speaker", "", mine)) if store else None
        return answer in (None, mine.encode())

    def notes(self) -> dict[int, str]:
        """Why ranks have ended, this one among them."""
        found = self._ask(lambda: self._read("ended")) or []
        return {rank: note for rank, note in enumerate(found) if note is not None}

    def missing(self, within: float) -> Missing | None:
        """The other ranks that cannot be waited for, if there are any.

        Args:
            within: seconds in which a rank must give a sign of life.
        """
        if self._store is None:
            return None
        found = self._ask(lambda: self._find_missing(within), within + ANSWER)
        if found is None:
            return Missing(f"{self._host} (its store does not answer)", alive=False)
        alive = all(reason.startswith("still") for reason in found.values())
        return Missing(in_words(found), alive) if found else None

    def _find_missing(self, within: float) -> dict[int, str]:
        before = self._read("beat")
        time.sleep(within)
        now, notes = self._read("beat"), self._read("ended")
        found = {}
        for rank in range(self.world_size):
            last: list[Any] = json.loads(now[rank] or "[0, 0, null, false]")
            if rank == self.rank:
                continue
            if notes[rank] is not None:
                found[rank] = f"ended: {notes[rank]}"
            elif now[rank] is None:
                found[rank] = "not there yet"
            elif now[rank] == before[rank]:
                found[rank] = f"gone or stopped, last seen {last[2]}"
            elif last[1] < self.activity.number:
                found[rank] = f"still {last[2]}"
        return found

    def _ask(self, question: Callable[[], T], within: float | None = None) -> T | None:
        """Ask the store; None if it refuses, or has not answered in time: its host may be gone, or cut off."""
        answers: list[T] = []

        def ask() -> None:
            with suppress(RuntimeError):
                answers.append(question())

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(ANSWER if within is None else within)
        return answers[0] if answers else None

    def _read(self, kind: str) -> list[str | None]:
        """A value of each rank; None where it has none."""
        if self._store is None:
            return []
        keys = [f"{kind}/{rank}" for rank in range(self.world_size)]
        there = [key for key in keys if self._store.check([key])]
        values = dict(zip(there, self._store.multi_get(there), strict=True)) if there else {}
        return [values[key].decode() if key in values else None for key in keys]


def find_peers() -> Peers:
    """Connect to the store that the environment describes, as ``torchrun`` sets it; without one, be alone.

    Raises:
        OSError: it cannot be reached.
    """
    rank, world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world_size == 1:
        return Peers(rank, world_size, None)
    address = ":".join(os.environ.get(name, "?") for name in ("MASTER_ADDR", "MASTER_PORT"))
    try:
        store = _meet()
    except RuntimeError as error:
        raise OSError(
            f"rank {rank} cannot meet the other {world_size - 1} at {address} ({first_line(error)}); check that all "
            "were started, and that this address can be reached."
        ) from error
    host = "torchrun" if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True" else "rank 0"
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return Peers(rank, world_size, dist.PrefixStore(f"train/{attempt}", store), f"{host} at {address}")


def _meet() -> dist.Store:
    """Connect to the store in a thread of its own: C++ waits there, and Ctrl-C must end the waiting."""
    found: Future[dist.Store] = Future()

    def meet() -> None:
        try:
            found.set_result(next(dist.rendezvous("env://", timeout=MEETING))[0])
        except Exception as error:
            found.set_exception(error)

    threading.Thread(target=meet, daemon=True).start()
    return found.result()


def in_words(found: dict[int, str]) -> str:
    """Ranks and what is wrong with them, those of the same kind together.

    Example::

        >>> in_words({1: "not there yet", 3: "not there yet", 4: "still setting up"})
        'ranks 1 and 3 (not there yet), rank 4 (still setting up)'
    """
    by_reason: dict[str, list[int]] = {}
    for rank, reason in found.items():
        by_reason.setdefault(reason, []).append(rank)
    parts = [f"{name_ranks(ranks)} ({reason})" for reason, ranks in by_reason.items()]
    return ", ".join(parts[:NAMED]) + (f", and {len(parts) - NAMED} more" if len(parts) > NAMED else "")


def name_ranks(ranks: list[int]) -> str:
    """Numbers of ranks in words."""
    if len(ranks) == 1:
        return f"rank {ranks[0]}"
    *some, last = map(str, ranks[:NAMED]) if len(ranks) <= NAMED else [*map(str, ranks[:NAMED]), "others"]
    return f"ranks {', '.join(some)} and {last}"


def first_line(error: BaseException) -> str:
    """The first line of an error's message, as a terminal may show it."""
    return printable((str(error).splitlines() or [type(error).__name__])[0])

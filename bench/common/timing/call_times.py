"""The time of single calls; on a GPU the device's own time, without that of the host."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

DELAY = 200_000_000
"""Cycles for which the GPU is kept busy while the host queues the timed calls; about a tenth of a second."""
TRIES = 3
"""Attempts, each with four times the delay of the last one, until the host has queued all calls within it."""


class CallTimes(NamedTuple):
    """Milliseconds of each call; ``host_bound`` says whether a GPU may have waited for the host between them."""

    each: list[float]
    host_bound: bool | None = None


def time_calls(work: Callable[[], Any], device: str, repeats: int) -> CallTimes:
    """Time calls after a warm-up; on a GPU by events, as the device's own time.

    No result is kept: on a GPU the next call reuses the memory of the last one.

    Example:
        >>> len(time_calls(lambda: torch.rand(1000).sort(), "cpu", repeats=10).each)
        10
    """
    if device == "cpu":
        for _ in range(3):
            work()
        return CallTimes([_wall(work) for _ in range(repeats)])
    with torch.cuda.device(device):
        for _ in range(3):
            work()
        delay = DELAY
        for _ in range(TRIES):
            synchronize(device)
            events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(repeats)]
            torch.cuda._sleep(delay)
            for start, end in events:
                start.record()
                work()
                end.record()
            late = events[0][0].query()  # the delay was over before the last call was queued
            if not late:
                break
            delay *= 4
        synchronize(device)
    return CallTimes([start.elapsed_time(end) for start, end in events], late)


def _wall(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def synchronize(device: str) -> None:
    """Wait until a GPU has finished all work; for a CPU there is nothing to wait for."""
    if device != "cpu":
        torch.cuda.synchronize(device)

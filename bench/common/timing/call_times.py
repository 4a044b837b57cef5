"""Time of single calls; on a GPU the device's own, with nothing of the host in it."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

DELAY = 200_000_000
"""Cycles that the GPU is kept busy while the host queues what is timed; about a tenth of a second."""
TRIES = 3
"""Delays, each four times as long as the one before, until the host has queued everything in one."""


class Timed(NamedTuple):
    """Milliseconds of each call; on a GPU whether the device may have waited for the host between them."""

    each: list[float]
    host_bound: bool | None = None


def time_calls(work: Callable[[], Any], device: str, repeats: int) -> Timed:
    """Time calls after a warm-up; on a GPU the device's own time, by events.

    No result is kept: on a GPU the next call takes the memory of the one before.
    """
    if device == "cpu":
        for _ in range(3):
            work()
        return Timed([_wall(work) for _ in range(repeats)])
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
    return Timed([start.elapsed_time(end) for start, end in events], late)


def _wall(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def synchronize(device: str) -> None:
    """Wait until the device has done all its work; a CPU has."""
    if device != "cpu":
        torch.cuda.synchronize(device)

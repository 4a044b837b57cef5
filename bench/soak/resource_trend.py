"""Memory, open files and threads of this process during a long run, and whether they grow."""

import ctypes
import gc
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

MEMORY_SHARE, MEMORY_SLACK = 0.03, 8 * 2**20
"""Growth of memory that is allowed: this share of it, and these bytes."""
PATIENCE = 2.0
"""Seconds that threads have to end after their loader is gone."""
LEAST = 9
"""Points that a trend needs: three for each third."""

_LIBC = ctypes.CDLL(None)


@dataclass(frozen=True)
class ResourcePoint:
    """The resources of the process at a time when no loader is alive: seconds since the start, bytes, counts."""

    seconds: float
    resident: int
    files: int
    threads: int


@dataclass(frozen=True)
class ResourceTrend:
    """Medians of the first and of the last third of the points, and the maximum that is allowed for the last one."""

    first: float
    last: float
    allowed: float

    @property
    def grows(self) -> bool:
        """Whether the last third is above the allowed maximum."""
        return self.last > self.allowed


def quiet_point(start: float, least: ResourcePoint | None) -> ResourcePoint:
    """Record the resources once the numbers of files and threads are as low as ``least``, or after ``PATIENCE``.

    Before that, free memory that malloc keeps in its arenas is returned to the system: every pipeline has threads of
    its own, each time in other arenas, and the free memory there is no leak.

    Args:
        start: start of the run, by ``time.monotonic``.
        least: the point with the lowest numbers so far.
    """
    until = time.monotonic() + PATIENCE
    while True:
        gc.collect()  # repeated: objects that an ending thread held may be part of a cycle
        files, threads = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
        settled = least is None or (files <= least.files and threads <= least.threads)
        if settled or time.monotonic() > until:
            break
        time.sleep(0.02)
    _LIBC.malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return ResourcePoint(time.monotonic() - start, pages * os.sysconf("SC_PAGE_SIZE"), files, threads)


def trends(points: Sequence[ResourcePoint]) -> dict[str, ResourceTrend]:
    """Compute the trends of memory, open files and threads over the points after the warm-up.

    ::

        points    │ warm-up │  first third  │  middle  │  last third  │
                              median ────── compared with ── median

    Single outliers do not move the median of a third. Memory may rise by 3 % and 8 MiB, as free blocks between blocks
    in use cannot be returned to the system. Files and threads may not rise at all.
    """
    third = len(points) // 3

    def trend(values: list[int], share: float, slack: float) -> ResourceTrend:
        first, last = median(values[:third]), median(values[-third:])
        return ResourceTrend(first, last, first * (1 + share) + slack)

    return {
        "memory": trend([point.resident for point in points], MEMORY_SHARE, MEMORY_SLACK),
        "open files": trend([point.files for point in points], 0, 0),
        "threads": trend([point.threads for point in points], 0, 0),
    }


def describe_growth(found: dict[str, ResourceTrend]) -> list[str]:
    """Write a sentence for each resource that grows."""
    sentences = []
    for name, trend in found.items():
        if trend.grows:
            unit, scale = (" MiB", 2**20) if name == "memory" else ("", 1)
            first, last, allowed = (round(value / scale, 1) for value in (trend.first, trend.last, trend.allowed))
            sentences.append(
                f"{name} grew from {first:g}{unit} in the first third after the warm-up to {last:g}{unit} in the last; "
                f"at most {allowed:g}{unit} is allowed."
            )
    return sentences

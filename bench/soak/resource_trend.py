"""What a long run holds: memory, open files and threads of this process, and whether they grow."""

import ctypes
import gc
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

SHARE = 0.03
SLACK = 8 * 2**20
PATIENCE = 2.0
"""Seconds that threads have to end after their loader is gone."""
LEAST = 9
"""Quiet points that a trend needs: three for each third."""


_LIBC = ctypes.CDLL(None)


@dataclass(frozen=True)
class Point:
    """What the process held at a quiet point, when no loader is alive: seconds since the start, bytes, counts."""

    seconds: float
    resident: int
    files: int
    threads: int


@dataclass(frozen=True)
class Trend:
    """Medians of the first and of the last third of the quiet points, and the most that the last one may be."""

    first: float
    last: float
    allowed: float

    @property
    def grows(self) -> bool:
        """Whether the last third is above what is allowed."""
        return self.last > self.allowed


def quiet_point(start: float, least: Point | None) -> Point:
    """Look once everything that is about to end has ended: by its numbers at ``least``, or after ``PATIENCE``.

    Memory that is free, but that malloc keeps in one of its arenas, is given back first: every pipeline has threads of
    its own, in other arenas each time, and what lies free there is no leak.

    Args:
        start: of the run, by ``time.monotonic``.
        least: the lowest numbers so far.
    """
    until = time.monotonic() + PATIENCE
    while True:
        gc.collect()  # each time: what a thread still had in hand may be in a cycle
        files, threads = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
        settled = least is None or (files <= least.files and threads <= least.threads)
        if settled or time.monotonic() > until:
            break
        time.sleep(0.02)
    _LIBC.malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Point(time.monotonic() - start, pages * os.sysconf("SC_PAGE_SIZE"), files, threads)


def trends(points: Sequence[Point]) -> dict[str, Trend]:
    """Of memory, open files and threads over quiet points after the warm-up.

    A median of a third is unmoved by single points, however far off. Memory may rise by 3 % and 8 MiB: between
    blocks in use, free ones cannot be given back. Files and threads may not rise at all.
    """
    third = len(points) // 3

    def of(values: list[int], share: float, slack: float) -> Trend:
        first, last = median(values[:third]), median(values[-third:])
        return Trend(first, last, first * (1 + share) + slack)

    return {
        "memory": of([point.resident for point in points], SHARE, SLACK),
        "open files": of([point.files for point in points], 0, 0),
        "threads": of([point.threads for point in points], 0, 0),
    }


def growth(found: dict[str, Trend]) -> list[str]:
    """A sentence for each that grows."""
    sentences = []
    for name, trend in found.items():
        if trend.grows:
            unit, scale = (" MiB", 2**20) if name == "memory" else ("", 1)
            first, last, allowed = (round(value / scale, 1) for value in (trend.first, trend.last, trend.allowed))
            sentences.append(
                f"{name} grew from {first:g}{unit} in the first third after the warm-up to {last:g}{unit} in the last; "
                f"at most {allowed:g}{unit} is no growth."
            )
    return sentences

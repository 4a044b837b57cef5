"""A time limit for a comparison, kept by how long it took to start and to measure the loaders so far."""

import math
import time

OVERHEAD = 0.7
"""Seconds of a turn beyond its measurement, until a turn was timed: other loaders become idle, queues are used up."""


class TimeBudget:
    """The time until the end of a comparison; ``minutes`` 0 means no limit.

    Args:
        minutes: from now on.
        seconds: length of one measurement.
        rounds: measurements of each loader.
        reserved: number of loaders to start and measure at the end, for which time is kept.
    """

    def __init__(self, minutes: float, seconds: float, rounds: int, reserved: int = 0) -> None:
        self._end = time.monotonic() + 60 * minutes if minutes else math.inf
        self._rounds, self._reserved = rounds, reserved
        self._start, self._turn = 0.0, seconds + OVERHEAD

    def started(self, seconds: float) -> None:
        """Record how long a loader took to start and warm up."""
        self._start = max(self._start, seconds)

    def measured(self, seconds: float) -> None:
        """Record how long a turn took, with the waiting before it."""
        self._turn = max(self._turn, seconds)

    def allows(self, more: int, running: int = 0) -> bool:
        """Whether ``more`` loaders can be started and measured, besides the running ones and the reserved ones."""
        starts = (more + self._reserved) * self._start
        turns = (running + more + self._reserved) * self._rounds * self._turn
        return time.monotonic() + starts + turns <= self._end

    def allows_round(self, running: int) -> bool:
        """Whether another round of ``running`` loaders ends in time."""
        return time.monotonic() + running * self._turn <= self._end

"""A limit on the time of a search, which it keeps by what starting and measuring loaders took so far."""

import math
import time

TURN = 0.7
"""Seconds of a turn beyond its measurement, until one was seen: others go quiet, what was prepared is used up."""


class Budget:
    """Time until an end, which ``minutes`` 0 puts off for ever.

    Args:
        minutes: from now on.
        seconds: length of one measurement.
        rounds: measurements of each loader.
        reserved: loaders that are started and measured at the end; their time is kept.
    """

    def __init__(self, minutes: float, seconds: float, rounds: int, reserved: int = 0) -> None:
        self._end = time.monotonic() + 60 * minutes if minutes else math.inf
        self._rounds, self._reserved = rounds, reserved
        self._start, self._turn = 0.0, seconds + TURN

    def started(self, seconds: float) -> None:
        """A loader took so long to start and warm up."""
        self._start = max(self._start, seconds)

    def measured(self, seconds: float) -> None:
        """A turn took so long, all told."""
        self._turn = max(self._turn, seconds)

    def allows(self, more: int, running: int = 0) -> bool:
        """Whether so many more can be started and measured beside those that run already and the reserved ones."""
        starts = (more + self._reserved) * self._start
        turns = (running + more + self._reserved) * self._rounds * self._turn
        return time.monotonic() + starts + turns <= self._end

    def allows_round(self, running: int) -> bool:
        """Whether one more round of so many loaders ends in time."""
        return time.monotonic() + running * self._turn <= self._end

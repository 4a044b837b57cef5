"""CPU time as Linux counts it: of process groups, and of the whole machine."""

import os
import time
from pathlib import Path

from bench.common.processes import all_processes

_TICK = os.sysconf("SC_CLK_TCK")


def group_seconds(*groups: int) -> float:
    """Return the CPU seconds used so far by the living processes of these groups and by their ended children."""
    return sum(process.ticks for process in all_processes() if process.group in groups) / _TICK


def machine_seconds() -> float:
    """Return the CPU seconds that the machine was busy, including those that a hypervisor took away."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / _TICK


def wait_until_quiet(groups: list[int], limit: float = 30.0, share: float = 0.03) -> bool:
    """Wait until these process groups together use less than ``share`` of one core; False after ``limit`` seconds.

    An idle loader fills its queues before it sleeps.
    """
    end = time.monotonic() + limit
    while groups and time.monotonic() < end:
        used, start = group_seconds(*groups), time.monotonic()
        time.sleep(0.25)
        # CPU time is counted in whole ticks, and most of a tick may have been used before this interval.
        if group_seconds(*groups) - used <= max(1.5 / _TICK, share * (time.monotonic() - start)):
            return True
    return not groups

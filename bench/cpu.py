"""CPU time, as Linux counts it: of one process group, and of the whole machine."""

import os
import time
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def group_seconds(*groups: int) -> float:
    """CPU seconds that the living processes of these groups, and their ended children, have used so far."""
    ticks = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:  # ended meanwhile
            continue
        # The second field, a name in parentheses, may hold spaces.
        fields = stat.rpartition(")")[2].split()
        if int(fields[2]) in groups:
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / _TICK


def machine_seconds() -> float:
    """CPU seconds that the machine has spent on anything but waiting, including what a hypervisor took away."""
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
        # CPU time is counted in whole ticks, and one may be of long before.
        if group_seconds(*groups) - used <= max(1.5 / _TICK, share * (time.monotonic() - start)):
            return True
    return not groups

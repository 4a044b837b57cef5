"""Whether processes that a test started still run."""

import time
from pathlib import Path


def is_running(pid) -> bool:
    """Whether a process runs: a zombie does not, though init may be slow to collect it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def are_gone(pids, within: float = 5.0) -> bool:
    """Whether all processes end in time."""
    end = time.monotonic() + within
    while any(map(is_running, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(is_running, pids))

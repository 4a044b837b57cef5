"""The processes of this machine, from ``/proc``."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """One process.

    ``state`` is a letter (Z and X: it has ended); ``ticks`` is its CPU time and that of its ended children.
    """

    pid: int
    state: str
    group: int
    session: int
    ticks: int


def all_processes() -> Iterator[Process]:
    """Read every process of the machine from ``/proc/*/stat``."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # it has ended meanwhile
            # The second field, a name in parentheses, may contain spaces.
            state, _parent, group, session, *fields = (entry / "stat").read_text().rpartition(")")[2].split()
            yield Process(int(entry.name), state, int(group), int(session), sum(map(int, fields[7:11])))

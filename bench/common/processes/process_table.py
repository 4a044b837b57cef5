"""The processes of this machine, as Linux tells of them."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """One process: ``state`` is a letter (Z and X have ended), ``ticks`` its CPU time and its ended children's."""

    pid: int
    state: str
    group: int
    session: int
    ticks: int


def processes() -> Iterator[Process]:
    """Every process there is, from ``/proc/*/stat``."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # ended meanwhile
            # The second field, a name in parentheses, may hold spaces.
            state, _parent, group, session, *fields = (entry / "stat").read_text().rpartition(")")[2].split()
            yield Process(int(entry.name), state, int(group), int(session), sum(map(int, fields[7:11])))

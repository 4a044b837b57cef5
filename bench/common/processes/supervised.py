"""A command with a limit: ended with everything that it started, however deep and in whatever state."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.common.processes import processes

GRACE = 3.0
"""Seconds that a command has to clean up before it is killed; less where its limit is short."""
KILLED = 5.0
"""Seconds in which killed processes have to end."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    ``status`` is as in ``subprocess`` (negative is a signal), None where it ran into its limit. ``gone`` is false where
    a process of it could not be ended: one that waits in a driver takes no signal.
    """

    status: int | None
    gone: bool


def run(command: Sequence[str], log: IO[bytes], limit: float, *, cwd: Path, environment: Mapping[str, str]) -> Ended:
    """Run a command in a session of its own, its output to ``log``, for ``limit`` seconds at most.

    What runs into the limit is asked to end (SIGTERM) shortly before it, and made to at it (SIGKILL). No process of the
    session is left when this returns or raises, but for those that cannot be ended.
    """
    grace = min(GRACE, limit / 20)
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=environment,
        start_new_session=True,
    )
    status, gone = None, False
    try:
        with suppress(subprocess.TimeoutExpired):
            status = process.wait(limit - grace)
        if status is None:
            process.terminate()  # alone: it is to end what it started
            with suppress(subprocess.TimeoutExpired):
                process.wait(grace)
    finally:
        end = time.monotonic() + KILLED
        while _send(process.pid, signal.SIGKILL):  # again: one may have started another meanwhile
            process.poll()
            if time.monotonic() > end:
                break
            time.sleep(0.01)
        else:
            gone = True
    return Ended(status, gone)


def _send(session: int, sent: signal.Signals) -> bool:
    """Send a signal to every living process of a session; False where there is none."""
    found = False
    for pid in _members(session):
        with suppress(ProcessLookupError):
            os.kill(pid, sent)
            found = True
    return found


def _members(session: int) -> list[int]:
    return [process.pid for process in processes() if process.session == session and process.state not in "ZX"]


def ended(status: int) -> str:
    """How a process ended, in words; negative is a signal, as in ``subprocess``."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"

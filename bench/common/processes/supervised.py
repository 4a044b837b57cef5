"""A command with a time limit: it ends with every process that it started, whatever state these are in."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.common.processes.process_table import all_processes

GRACE = 3.0
"""Seconds that a command has to clean up before it is killed; less where its limit is short."""
KILLED = 5.0
"""Seconds that killed processes have to end."""


@dataclass(frozen=True)
class CommandEnd:
    """How a command ended.

    ``status`` is its exit status as in ``subprocess`` (a negative number is a signal), or None at the time limit.
    ``gone`` is false where one of its processes could not be ended: a process that waits in a driver takes no signal.
    """

    status: int | None
    gone: bool


def run_supervised(
    command: Sequence[str], log: IO[bytes], limit: float, *, cwd: Path, environment: Mapping[str, str]
) -> CommandEnd:
    """Run a command in a session of its own for at most ``limit`` seconds, with its output written to ``log``.

    Shortly before the limit the command receives SIGTERM, at the limit SIGKILL. When this function returns or raises,
    no process of the session is left, except those that cannot be ended.
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
            process.terminate()  # the command alone: it ends its own children
            with suppress(subprocess.TimeoutExpired):
                process.wait(grace)
    finally:
        end = time.monotonic() + KILLED
        while _send(process.pid, signal.SIGKILL):  # repeated, as a process may have started another one meanwhile
            process.poll()
            if time.monotonic() > end:
                break
            time.sleep(0.01)
        else:
            gone = True
    return CommandEnd(status, gone)


def _send(session: int, sent: signal.Signals) -> bool:
    """Send a signal to every living process of a session; return whether there was one."""
    found = False
    for pid in _members(session):
        with suppress(ProcessLookupError):
            os.kill(pid, sent)
            found = True
    return found


def _members(session: int) -> list[int]:
    return [process.pid for process in all_processes() if process.session == session and process.state not in "ZX"]


def describe_status(status: int) -> str:
    """Put an exit status into words; a negative one is a signal, as in ``subprocess``.

    Example:
        >>> describe_status(2), describe_status(-9)
        ('exit status 2', 'SIGKILL')
    """
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"

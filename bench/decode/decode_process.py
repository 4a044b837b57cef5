"""The process that measures one way to decode, seen from outside: a crash is the result of that way alone."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from bench.common.processes import describe_status

COMMAND = (sys.executable, "-m", "bench.decode.child")
KILLED = 2.0
"""Seconds that a killed process has to end; one that waits in a driver may never end, and is left behind."""
ROOT = Path(__file__).resolve().parents[2]


class DecodeProcess:
    """A started process, which imports PyTorch and DALI and then waits for its job."""

    def __init__(self) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | {"PYTHONPATH": path},
            process_group=0,
        )

    def wait_ready(self, limit: float) -> None:
        """Wait until it has imported everything; ``measure`` reports if it fails to."""
        assert self._process.stdout is not None
        if select.select([self._process.stdout], [], [], limit)[0]:
            # One byte at a time and one line only, so that no buffer holds back what follows.
            while os.read(self._process.stdout.fileno(), 1) not in (b"\n", b""):
                pass

    def measure(self, job: dict[str, Any], limit: float) -> dict[str, Any]:
        """Return its answer, or ``{"failure": why}`` if it crashed, raised or did not end within ``limit`` seconds."""
        try:
            out, _ = self._process.communicate(json.dumps(job).encode() + b"\n", timeout=limit)
        except subprocess.TimeoutExpired:
            return {"failure": f"did not end within {limit:.3g} s"}
        status = self._process.returncode
        if status:
            return {"failure": f"{describe_status(status)}{self._last_words()}"}
        try:
            answer: dict[str, Any] = json.loads(out)
        except ValueError:
            return {"failure": f"ended without an answer{self._last_words()}"}
        return answer

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1].strip()}" if lines else ""

    def close(self) -> None:
        """End the process and all processes that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(KILLED)
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            with suppress(OSError):  # the process never read its job
                if pipe is not None:
                    pipe.close()

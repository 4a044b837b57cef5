"""Tests in several processes: one that crashes or hangs has failed, and all others go on.

``python -m bench.gpu.tests PROCESSES PATIENCE FILE ...``: tests with the marker ``gpu``, each for ``PATIENCE`` seconds
at most. A line for each as it ends, so that also a run that is cut off tells what it found.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.common import STATUS, ended, interruptible

_OPTIONS = ("-q", "--tb=short", "-m", "gpu", "-p", "no:cacheprovider", "--continue-on-collection-errors")
KILLED = 2.0
"""Seconds in which a killed process ends; one that waits in a driver may not, and is left."""
_USUAL = (0, 1, 5)
"""Exit statuses of pytest after it ran what there was: all passed, some failed, no test."""


def main(processes: int, patience: float, files: Sequence[str]) -> int:
    """Run them; 0 where none failed."""
    outcomes: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        workers = [_Worker(number, processes, files, Path(scratch)) for number in range(processes)]
        try:
            while not all(worker.finished for worker in workers):
                for worker in workers:
                    for name, outcome, why, details in worker.news(patience):
                        if name not in outcomes:  # every process finds the same broken file
                            print(f"[{outcome}{why and f': {why}'}] {name}\n{details}", end="", flush=True)
                        outcomes[name] = outcome
                time.sleep(0.05)
        except KeyboardInterrupt:
            for name in filter(None, (worker.running for worker in workers)):
                print(f"[did not end] {name}", flush=True)
            raise
        finally:
            for worker in workers:
                worker.kill()
    counts = Counter(outcomes.values())
    print(", ".join(f"{counts[word]} {word}" for word in ("passed", "failed", "skipped")))
    return 1 if counts["failed"] else 0


class _Worker:
    """A process for every n-th test, started anew after a test that ended it."""

    def __init__(self, number: int, of: int, files: Sequence[str], scratch: Path) -> None:
        self._job = {"number": number, "of": of, "files": list(files)}
        self._ledger, self._output = scratch / f"{number}.jsonl", scratch / f"{number}.log"
        self._done: list[str] = []
        self.finished = False
        self._start()

    def _start(self) -> None:
        self._ledger.write_bytes(b"")
        self._read = 0
        self._current: tuple[str, float] | None = None
        job = json.dumps(self._job | {"done": self._done, "ledger": str(self._ledger)})
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.gpu.tests", "worker", job],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    def news(self, patience: float) -> Iterator[tuple[str, str, str, str]]:
        """Name, outcome, how its process ended and details of each test that ended since."""
        if self.finished:
            return
        status = self._process.poll()  # before the ledger is read, which then holds all that it wrote
        for name, outcome, details in self._entries():
            if outcome == "began":
                self._current = (name, time.monotonic())
            elif outcome == "collected":
                yield "tests", "collected", name, ""
            else:
                self._current = None
                self._done.append(name)
                yield name, outcome, "", details
        why = "" if status is None else ended(status)
        if status is None and self._current and time.monotonic() - self._current[1] > patience:
            self.kill()
            why = f"did not end within {patience:g} s"
        if not why:
            return
        said = self._output.read_text(errors="replace").strip() + "\n"
        if self._current:
            self._done.append(self._current[0])
            yield self._current[0], "failed", why, said
            self._start()
            return
        self.finished = True
        if status not in _USUAL:
            yield f"process {self._job['number']}", "failed", why, said

    @property
    def running(self) -> str | None:
        """The test that it runs."""
        return self._current[0] if self._current and not self.finished else None

    def _entries(self) -> list[tuple[str, str, str]]:
        with self._ledger.open("rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        self._read += len(whole) + bool(whole)
        return [tuple(json.loads(line)) for line in whole.splitlines()]

    def kill(self) -> None:
        """End it and whatever its test started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(KILLED)


class _Share:
    """pytest's plugin in a worker: takes every n-th test, and writes down what becomes of each."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._outcome, self._details = "passed", ""

    def _write(self, name: str, outcome: str, details: str = "") -> None:
        with Path(self._job["ledger"]).open("a") as file:
            file.write(json.dumps([name, outcome, details]) + "\n")

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self._write(report.nodeid, "failed", f"{report.longreprtext}\n")

    def pytest_collection_finish(self, session: Any) -> None:
        """After others have left out what has not the marker."""
        mine = session.items[self._job["number"] :: self._job["of"]]
        self._write(str(len(session.items)), "collected")
        session.items[:] = [item for item in mine if item.nodeid not in self._job["done"]]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._outcome, self._details = "passed", ""
        self._write(nodeid, "began")

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self._outcome = "failed"
            self._details += f"{report.longreprtext}\n"
        elif report.skipped and not hasattr(report, "wasxfail") and self._outcome == "passed":
            self._outcome = "skipped"

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._write(nodeid, self._outcome, self._details)


def _work(job: dict[str, Any]) -> int:
    import pytest

    return int(pytest.main([*_OPTIONS, *job["files"]], plugins=[_Share(job)]))


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        sys.exit(_work(json.loads(sys.argv[2])))
    try:
        with interruptible():
            sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
    except KeyboardInterrupt:
        sys.exit(STATUS)

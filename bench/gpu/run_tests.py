"""``python -m bench.gpu.run_tests PROCESSES PATIENCE FILE ...``: run the tests with the marker ``gpu``.

They run in several processes, each test for at most ``PATIENCE`` seconds. A test that crashes or hangs has failed, and
all others go on. A line is printed for each test when it ends, so that an interrupted run shows its results, too.
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

from bench.common.processes import describe_status, interruptible

_OPTIONS = ("-q", "--tb=short", "-m", "gpu", "-p", "no:cacheprovider", "--continue-on-collection-errors")
KILLED = 2.0
"""Seconds that a killed process has to end; one that waits in a driver may never end, and is left behind."""
_COMPLETED = (0, 1, 5)
"""Exit statuses of pytest after a complete run: all passed, some failed, no tests."""


def main(processes: int, patience: float, files: Sequence[str]) -> int:
    """Run the tests; return 0 if none failed."""
    outcomes: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        workers = [_Worker(number, processes, files, Path(scratch)) for number in range(processes)]
        try:
            while not all(worker.finished for worker in workers):
                for worker in workers:
                    for name, outcome, why, details in worker.news(patience):
                        if name not in outcomes:  # every process reports the same broken file
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
    """A process that runs every n-th test, restarted after a test that ended it."""

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
                [sys.executable, "-m", "bench.gpu.run_tests", "worker", job],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    def news(self, patience: float) -> Iterator[tuple[str, str, str, str]]:
        """Yield name, outcome, how the process ended, and details of each test that ended since the last call."""
        if self.finished:
            return
        status = self._process.poll()  # before the ledger is read, which is then complete
        for name, outcome, details in self._entries():
            if outcome == "began":
                self._current = (name, time.monotonic())
            elif outcome == "collected":
                yield "tests", "collected", name, ""
            else:
                self._current = None
                self._done.append(name)
                yield name, outcome, "", details
        why = "" if status is None else describe_status(status)
        if status is None and self._current and time.monotonic() - self._current[1] > patience:
            self.kill()
            why = f"did not end within {patience:g} s"
        if not why:
            return
        printed = self._output.read_text(errors="replace").strip() + "\n"
        if self._current:
            self._done.append(self._current[0])
            yield self._current[0], "failed", why, printed
            self._start()
            return
        self.finished = True
        if status not in _COMPLETED:
            yield f"process {self._job['number']}", "failed", why, printed

    @property
    def running(self) -> str | None:
        """The test that is running."""
        return self._current[0] if self._current and not self.finished else None

    def _entries(self) -> list[tuple[str, str, str]]:
        with self._ledger.open("rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        self._read += len(whole) + bool(whole)
        return [tuple(json.loads(line)) for line in whole.splitlines()]

    def kill(self) -> None:
        """End the process and all processes that its test started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(KILLED)


class _ShardPlugin:
    """A plugin of pytest in a worker: selects every n-th test, and writes the outcome of each to the ledger."""

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
        """Select tests, once those without the marker have been deselected."""
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

    return int(pytest.main([*_OPTIONS, *job["files"]], plugins=[_ShardPlugin(job)]))


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        sys.exit(_work(json.loads(sys.argv[2])))
    try:
        with interruptible():
            sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)

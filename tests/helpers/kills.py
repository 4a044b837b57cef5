"""``python -m train`` stopped at a chosen moment: in a step, while a checkpoint is written, between epochs."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tests.helpers.training import environment_with, launcher
from train.engine.checkpoint import Checkpoint

PATIENCE = 120  # seconds


class Training:
    """The command, started in its folder if that holds no checkpoint yet, else continued, as a job script would.

    Frozen (SIGSTOP) it can be looked at before it is killed: a moment that has passed is let go, and no start is lost.

    Args:
        folder: of the run.
        options: of the run's first start.
        processes: number of them under torchrun; 0 without it.
        prefix: of the command line.
    """

    def __init__(self, folder: Path, options: list[str], processes: int = 0, prefix: Sequence[str] = ()) -> None:
        self.folder = folder
        self.output = folder.with_name(f"{folder.name}.{time.monotonic_ns()}.txt")
        how = ["--resume", str(folder)] if (folder / "last.pt").exists() else [*options, "--output-dir", str(folder)]
        self._first, self._leftovers = self._checkpoint(), self._temporaries()
        self._epochs_seen = 0
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, *launcher(processes), "-m", "train", *how],
                env=environment_with(PYTHONUNBUFFERED="1"),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> "Training":
        return self

    def __exit__(self, *_: object) -> None:
        for pid in [*self.ranks(), self.process.pid]:
            if self.process.poll() is None:
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def ranks(self) -> list[int]:
        """Processes that torchrun has started, in the order of their ranks; none without it."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        found = {}
        for pid in children.read_text().split() if children.exists() else []:
            with suppress(OSError):  # it has ended since
                if rank := re.search(rb"\0RANK=(\d+)", Path(f"/proc/{pid}/environ").read_bytes()):
                    found[int(rank[1])] = int(pid)
        return [found[rank] for rank in sorted(found)]

    def finish(self) -> int:
        """Let it run to its end; its exit status."""
        return self.process.wait(PATIENCE)

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Look often enough to see a file that is there for some milliseconds; a run that has ended is too late."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, f"ended before its moment came: {self.output.read_text()}"
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.0005)

    def wait_for_checkpoints(self, number: int) -> None:
        """Until the run has written so many."""
        for _ in range(number):
            before = self._checkpoint()
            self.wait_until(lambda before=before: self._checkpoint() != before)

    def kill(self, moment: str, rng: random.Random, rank: int | None = None) -> None:
        """Send SIGKILL at a random occasion of a ``moment`` (one of `MOMENTS`); under torchrun to one ``rank``."""
        if moment == "set-up":
            time.sleep(rng.uniform(0.1, 1.0))
        else:
            self.freeze(moment, rng)
        os.kill(self.process.pid if rank is None else self.ranks()[rank], signal.SIGKILL)
        if rank:
            os.kill(self.ranks()[0], signal.SIGCONT)
        assert self.finish() == (-signal.SIGKILL if rank is None else 1)

    def freeze(self, moment: str, rng: random.Random) -> int:
        """Send SIGSTOP at a random occasion of a ``moment`` to the process that writes; its id."""
        looks_like, is_it = MOMENTS[moment]
        self.wait_for_checkpoints(0 if moment == "first step" else rng.randrange(3))
        while True:
            self.wait_until(lambda: looks_like(self))
            time.sleep(0 if moment == "first step" else rng.uniform(0, 0.01))
            writer = next(iter(self.ranks()), self.process.pid)
            os.kill(writer, signal.SIGSTOP)
            status = Path(f"/proc/{writer}/stat")
            self.wait_until(lambda status=status: status.read_text().rpartition(")")[2].split()[0] == "T")
            if is_it(self):
                return writer
            self._epochs_seen = self._epochs_printed()
            os.kill(writer, signal.SIGCONT)

    def _checkpoint(self) -> tuple[int, int] | None:
        path = self.folder / "last.pt"
        return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None

    def _temporaries(self) -> set[tuple[str, int]]:
        found = set()
        for path in self.folder.glob(".*.tmp"):
            with suppress(OSError):  # it has been renamed since
                found.add((path.name, path.stat().st_mtime_ns))
        return found

    def _epochs_printed(self) -> int:
        return int((re.findall(r"^epoch (\d+)/", self.output.read_text(), re.MULTILINE) or [0])[-1])

    def is_saving(self) -> bool:
        """Whether a checkpoint is being written."""
        return any(name.endswith(".pt.tmp") for name, _ in self._temporaries() - self._leftovers)

    def is_computing(self) -> bool:
        """Whether nothing is being written."""
        return self._temporaries() <= self._leftovers and not self.is_turning()

    def is_turning(self) -> bool:
        """Whether an epoch has ended and its last checkpoint is not there yet."""
        saved = Checkpoint.load(self.folder).epoch if self._checkpoint() else 0
        return self._epochs_printed() > saved


MOMENTS: dict[str, tuple[Callable[[Training], bool], Callable[[Training], bool]]] = {
    "first step": (lambda run: (run.folder / "metrics.csv").exists(), lambda run: run._checkpoint() is None),
    "step": (lambda run: run._checkpoint() != run._first, Training.is_computing),
    "saving": (Training.is_saving, Training.is_saving),
    "turn": (lambda run: run._epochs_printed() > run._epochs_seen, Training.is_turning),
}
"""What each looks like from the outside, and how to be sure once the run is frozen."""

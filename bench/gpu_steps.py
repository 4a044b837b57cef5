"""The steps of ``python -m bench gpu``: what each runs, and how long it may take."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import gpu_figures as figures

ROOT = Path(__file__).resolve().parent.parent
LOADERS = ("ours-cutmix", "ours", "dali", "dali-decode")
LOADERS_OF = {"cpu": ("torchvision-io",), "gpu": ("dali-decode-whole", "torchvision-gpu", "ours-float16")}
"""Measured on that device beside them, the most telling first."""
TEST_PROCESSES = 8
COMPILES_FROM = 150.0
"""Seconds from which on the step's model is compiled first, which takes up to a minute."""


@dataclass(frozen=True)
class Task:
    """What is equal for all steps; ``data`` None means the sample photographs."""

    device: str
    data: Path | None
    out: Path
    threads: int

    @property
    def on_gpu(self) -> bool:
        """Else the steps are only tried, on a CPU."""
        return self.device != "cpu"

    def json(self, step: str) -> Path:
        """Where a step's result lies."""
        return self.out / f"{step}-{'gpu' if self.on_gpu else 'cpu'}.json"


@dataclass(frozen=True)
class Step:
    """``seconds`` is its limit where there are eight minutes for all; ``tail`` how many lines of it are shown."""

    name: str
    seconds: float
    command: Callable[[Task, float], list[str]]
    figure: Callable[[str, Path], str]
    tail: int = 12


def budgets(steps: Sequence[Step], left: float) -> float:
    """Seconds for the first of the steps: its share of what is left, so that an early end is to the others' good."""
    return left * steps[0].seconds / sum(step.seconds for step in steps)


def _bench(task: Task, name: str, *options: object) -> list[str]:
    data = ["--data", task.data] if task.data else []
    shared = ["--device", task.device, *data, "--json", task.json(name)]
    return [sys.executable, "-m", "bench", *map(str, [name, *options, *shared])]


def _environment(task: Task, budget: float) -> list[str]:
    return [sys.executable, "-m", "bench.gpu_environment", task.device, str(task.json("environment"))]


def _decode(task: Task, budget: float) -> list[str]:
    # A way takes about 3 s beside its measurement, and there are 24 on a GPU.
    seconds = min(2.0, max(0.5, budget / 24 - 3))
    limits = ["--minutes", f"{0.85 * budget / 60:.3g}", "--limit", f"{max(10, budget / 5):.0f}"]
    how = ["--batch-size", 256 if task.on_gpu else 32, "--threads", task.threads, "--rewritten"]
    return _bench(task, "decode", *how, "--seconds", f"{seconds:.2g}", *limits)


def _tests(task: Task, budget: float) -> list[str]:
    """Files without such tests are left out: they import what a GPU machine need not have."""
    files = sorted(file for file in (ROOT / "tests").glob("test_*.py") if re.search(r"mark\.gpu\b", file.read_text()))
    processes = TEST_PROCESSES if task.on_gpu else 2
    return [sys.executable, "-m", "bench.gpu_tests", str(processes), f"{budget / 3:.0f}", *map(str, files)]


def _loaders(task: Task, budget: float) -> list[str]:
    names = [*LOADERS, *LOADERS_OF["gpu" if task.on_gpu else "cpu"]]
    seconds, rounds = fitted(budget, len(names))
    how = ["--batch-size", 256 if task.on_gpu else 32, "--threads", task.threads]
    return _bench(task, "loaders", *how, "--seconds", seconds, "--rounds", rounds, "--only", *names)


def fitted(budget: float, processes: int) -> tuple[float, int]:
    """Length and number of measurements for which there is time, when each process takes ten seconds to start."""
    choices = [(2.0, 3), (1.0, 3), (1.0, 2), (0.5, 2), (0.5, 1)]
    for seconds, rounds in choices:
        if processes * (10 + rounds * (seconds + 0.7)) <= 0.85 * budget:
            return seconds, rounds
    return choices[-1]


def _kernel(task: Task, budget: float) -> list[str]:
    how = ["--batch-size", 256, "--repeats", 30] if task.on_gpu else ["--batch-size", 16, "--repeats", 3]
    return _bench(task, "kernel", *how, "--threads", task.threads)


def _step(task: Task, budget: float) -> list[str]:
    if task.on_gpu:
        compiled = "--compile" if budget >= COMPILES_FROM else "--no-compile"
        how: list[object] = ["--amp", "--channels-last", compiled, "--seconds", 4, "--rounds", 2]
    else:
        how = ["--model", "resnet10", "--size", 64, "--batch-size", 16, "--no-amp", "--no-compile"]
        how += ["--steps", 20, "--rounds", 3]
    return _bench(task, "step", *how, "--threads", task.threads)


def _tune(task: Task, budget: float) -> list[str]:
    setting, batch, seconds = ("hw_decoder_load", 256, 1.5) if task.on_gpu else ("prefetch", 32, 0.5)
    how = ["--minutes", f"{0.85 * budget / 60:.3g}", "--seconds", seconds, "--rounds", 3]
    return _bench(task, "tune", *how, "--batch-size", batch, "--only", setting)


STEPS = (
    Step("environment", 20, _environment, figures.environment),
    Step("decode", 100, _decode, figures.decode, tail=40),
    Step("tests", 150, _tests, figures.tests, tail=40),
    Step("loaders", 150, _loaders, figures.loaders, tail=20),
    Step("kernel", 60, _kernel, figures.kernel, tail=30),
    Step("step", 90, _step, figures.step),
    Step("tune", 90, _tune, figures.tune, tail=20),
)
"""Most valuable first."""

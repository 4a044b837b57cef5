"""The steps of ``python -m bench gpu``: the command of each, its time limit, and its key figure."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.common.cli import usable_cores
from bench.gpu import key_figures
from bench.gpu.plans import PLANNED, decode_plan, loaders_plan
from bench.loaders.contenders import CONTENDERS

ROOT = Path(__file__).resolve().parents[2]
LOADERS = {
    "cpu": ("ours-cutmix", "dali-decode", "ours", "torchvision-io", "dali"),
    "gpu": ("ours-cutmix", "dali-decode-whole", "ours-float16", "ours", "torchvision-gpu", "dali-decode", "dali"),
}
"""Loaders to measure, the most informative first."""
SILENCE = 15
"""Seconds without a batch after which a loader has failed."""
TEST_PROCESSES = 8
COMPILES_FROM = 150.0
"""Time limit in seconds from which on the step's model is compiled, which takes up to a minute."""


@dataclass(frozen=True)
class StepContext:
    """What is the same for all steps: device, images (None: the sample photographs), folder for results, threads."""

    device: str
    data: Path | None
    out: Path
    threads: int

    @property
    def on_gpu(self) -> bool:
        """Whether there is a GPU; on a CPU the steps are only tried."""
        return self.device != "cpu"

    def json(self, step: str) -> Path:
        """Path of a step's result."""
        return self.out / f"{step}-{'gpu' if self.on_gpu else 'cpu'}.json"


@dataclass(frozen=True)
class GpuStep:
    """One step of the run.

    ``seconds`` is its time limit in a run of eight minutes; ``tail`` is the number of its last lines to show. The key
    figure of a step ``from_log`` needs no JSON.
    """

    name: str
    seconds: float
    command: Callable[[StepContext, float], list[str]]
    figure: Callable[[str, Path], str]
    tail: int = 12
    from_log: bool = False


def budgets(steps: Sequence[GpuStep], left: float) -> float:
    """Compute the first step's time limit, its share of the seconds left: time that a step saves goes to the rest.

    Example:
        >>> budgets(STEPS, 480.0), budgets(STEPS[1:], 470.0)  # the first step ended after 10 of its 20 s
        (20.0, 91.95652173913044)
    """
    return left * steps[0].seconds / sum(step.seconds for step in steps)


def _bench(context: StepContext, name: str, *options: object) -> list[str]:
    data = ["--data", context.data] if context.data else []
    shared = ["--device", context.device, *data, "--json", context.json(name)]
    return [sys.executable, "-m", "bench", *map(str, [name, *options, *shared])]


def _environment(context: StepContext, budget: float) -> list[str]:
    return [sys.executable, "-m", "bench.gpu.environment", context.device]


def _decode(context: StepContext, budget: float) -> list[str]:
    plan = decode_plan(budget, context.on_gpu, usable_cores())
    limits = ["--minutes", _minutes(budget), "--limit", f"{max(10, budget / 5):.0f}"]
    how: list[object] = ["--batch-size", 256 if context.on_gpu else 32, "--threads", context.threads]
    how += ["--loads", *plan.loads, "--rewritten" if plan.rewritten else "--no-rewritten"]
    return _bench(context, "decode", *how, "--seconds", plan.seconds, *limits)


def _minutes(budget: float) -> str:
    return f"{PLANNED * budget / 60:.3g}"


def _tests(context: StepContext, budget: float) -> list[str]:
    """Run the tests of the files that have the marker ``gpu``; others may import what a GPU machine does not have."""
    files = sorted(file for file in (ROOT / "tests").rglob("test_*.py") if re.search(r"mark\.gpu\b", file.read_text()))
    processes = TEST_PROCESSES if context.on_gpu else 2
    return [sys.executable, "-m", "bench.gpu.run_tests", str(processes), f"{budget / 3:.0f}", *map(str, files)]


def _loaders(context: StepContext, budget: float) -> list[str]:
    wanted = LOADERS["gpu" if context.on_gpu else "cpu"]
    missing = {contender.name: modules for contender in CONTENDERS if (modules := contender.missing())}
    for name in wanted:
        if name in missing:
            print(f"{name} is left out; not installed: {', '.join(missing[name])}")
    # If none is installed, the step reports that itself.
    names = [name for name in wanted if name not in missing] or wanted
    plan = loaders_plan(budget, len(names))
    how: list[object] = ["--batch-size", 256 if context.on_gpu else 32, "--threads", context.threads]
    how += ["--silence", SILENCE, "--minutes", _minutes(budget), "--seconds", plan.seconds, "--rounds", plan.rounds]
    return _bench(context, "loaders", *how, "--only", *names)


def _kernel(context: StepContext, budget: float) -> list[str]:
    how = ["--batch-size", 256, "--repeats", 30] if context.on_gpu else ["--batch-size", 16, "--repeats", 3]
    return _bench(context, "kernel", *how, "--threads", context.threads)


def _step(context: StepContext, budget: float) -> list[str]:
    if context.on_gpu:
        compiled = "--compile" if budget >= COMPILES_FROM else "--no-compile"
        how: list[object] = ["--amp", "--channels-last", compiled, "--seconds", 4, "--rounds", 2]
    else:
        how = ["--model", "resnet10", "--size", 64, "--batch-size", 16, "--no-amp", "--no-compile"]
        how += ["--steps", 20, "--rounds", 3]
    return _bench(context, "step", *how, "--threads", context.threads)


def _tune(context: StepContext, budget: float) -> list[str]:
    setting, batch, seconds = ("hw_decoder_load", 256, 1.0) if context.on_gpu else ("prefetch", 32, 0.5)
    how = ["--minutes", _minutes(budget), "--seconds", seconds, "--rounds", 3]
    return _bench(context, "tune", *how, "--batch-size", batch, "--only", setting)


STEPS = (
    GpuStep("environment", 20, _environment, key_figures.environment, from_log=True),
    GpuStep("decode", 90, _decode, key_figures.decode, tail=40),
    GpuStep("tests", 100, _tests, key_figures.tests, tail=40, from_log=True),
    GpuStep("loaders", 130, _loaders, key_figures.loaders, tail=20),
    GpuStep("kernel", 30, _kernel, key_figures.kernel, tail=30),
    GpuStep("step", 60, _step, key_figures.step),
    GpuStep("tune", 50, _tune, key_figures.tune, tail=20),
)
"""The steps, the most valuable first."""

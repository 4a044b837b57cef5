"""The steps of ``python -m bench gpu``: what each runs, and how long it may take."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.common import cores
from bench.decode import LOADS, all_ways
from bench.gpu import figures
from bench.loaders.contenders import CONTENDERS

ROOT = Path(__file__).resolve().parents[2]
LOADERS = {
    "cpu": ("ours-cutmix", "dali-decode", "ours", "torchvision-io", "dali"),
    "gpu": ("ours-cutmix", "dali-decode-whole", "ours-float16", "ours", "torchvision-gpu", "dali-decode", "dali"),
}
"""The most telling first."""
SILENCE = 15
"""Seconds without a batch after which a loader is left out."""
PLANNED = 0.85
"""Share of a limit that is planned for; the rest is for what takes longer than expected."""
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
    """A part of the run.

    ``seconds`` is its limit where there are eight minutes for all; ``tail`` how many lines of it are shown. The figure
    of a step ``from_log`` needs no JSON.
    """

    name: str
    seconds: float
    command: Callable[[Task, float], list[str]]
    figure: Callable[[str, Path], str]
    tail: int = 12
    from_log: bool = False


def budgets(steps: Sequence[Step], left: float) -> float:
    """Seconds for the first of the steps: its share of what is left, so that an early end is to the others' good."""
    return left * steps[0].seconds / sum(step.seconds for step in steps)


def _bench(task: Task, name: str, *options: object) -> list[str]:
    data = ["--data", task.data] if task.data else []
    shared = ["--device", task.device, *data, "--json", task.json(name)]
    return [sys.executable, "-m", "bench", *map(str, [name, *options, *shared])]


def _environment(task: Task, budget: float) -> list[str]:
    return [sys.executable, "-m", "bench.gpu.environment", task.device]


@dataclass(frozen=True)
class Plan:
    """What there is time for in a step: length and number of measurements; for the decoder, which ways."""

    planned: float
    seconds: float
    rounds: int = 1
    loads: tuple[float, ...] = ()
    rewritten: bool = False


IMPORTED, DECODED = 10.0, 3.0
"""Seconds until as many processes as there are cores have imported PyTorch and DALI, and for a way beside its
measurement."""


def decode_plan(budget: float, on_gpu: bool, processors: int) -> Plan:
    """As many ways as there is time for, then longer measurements; the last plan if there is no time for any."""
    # Rewritten files come after three shares, as in the list of ways.
    counts = (
        [(5, True), (4, True), (3, True), (3, False), (2, False), (1, False)] if on_gpu else [(1, True), (1, False)]
    )
    plans = []
    for count, rewritten in counts:
        loads = LOADS[:count]
        number = len(all_ways(on_gpu, loads=loads, rewritten=rewritten))
        beside = -(-number // processors) * IMPORTED + number * DECODED
        plans += [
            Plan(beside + number * seconds, seconds, loads=loads, rewritten=rewritten) for seconds in (2.0, 1.5, 1.0)
        ]
    return next((plan for plan in plans if plan.planned <= PLANNED * budget), plans[-1])


def _decode(task: Task, budget: float) -> list[str]:
    plan = decode_plan(budget, task.on_gpu, cores())
    limits = ["--minutes", _minutes(budget), "--limit", f"{max(10, budget / 5):.0f}"]
    how: list[object] = ["--batch-size", 256 if task.on_gpu else 32, "--threads", task.threads]
    how += ["--loads", *plan.loads, "--rewritten" if plan.rewritten else "--no-rewritten"]
    return _bench(task, "decode", *how, "--seconds", plan.seconds, *limits)


def _minutes(budget: float) -> str:
    return f"{PLANNED * budget / 60:.3g}"


def _tests(task: Task, budget: float) -> list[str]:
    """Files without such tests are left out: they import what a GPU machine need not have."""
    files = sorted(file for file in (ROOT / "tests").rglob("test_*.py") if re.search(r"mark\.gpu\b", file.read_text()))
    processes = TEST_PROCESSES if task.on_gpu else 2
    return [sys.executable, "-m", "bench.gpu.tests", str(processes), f"{budget / 3:.0f}", *map(str, files)]


def _loaders(task: Task, budget: float) -> list[str]:
    wanted = LOADERS["gpu" if task.on_gpu else "cpu"]
    missing = {contender.name: modules for contender in CONTENDERS if (modules := contender.missing())}
    for name in wanted:
        if name in missing:
            print(f"{name} is left out; not installed: {', '.join(missing[name])}")
    # With none of them the step is to say so itself.
    names = [name for name in wanted if name not in missing] or wanted
    plan = loaders_plan(budget, len(names))
    how: list[object] = ["--batch-size", 256 if task.on_gpu else 32, "--threads", task.threads]
    how += ["--silence", SILENCE, "--minutes", _minutes(budget), "--seconds", plan.seconds, "--rounds", plan.rounds]
    return _bench(task, "loaders", *how, "--only", *names)


STARTED, TURN = 9.0, 0.7
"""Seconds until a loader has started and warmed up, and of a turn beside its measurement."""


def loaders_plan(budget: float, processes: int) -> Plan:
    """The most and longest measurements for which there is time."""
    choices = [(2.0, 3), (1.5, 3), (1.0, 3), (1.0, 2), (0.5, 2), (0.5, 1)]
    plans = [Plan(processes * (STARTED + rounds * (seconds + TURN)), seconds, rounds) for seconds, rounds in choices]
    return next((plan for plan in plans if plan.planned <= PLANNED * budget), plans[-1])


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
    setting, batch, seconds = ("hw_decoder_load", 256, 1.0) if task.on_gpu else ("prefetch", 32, 0.5)
    how = ["--minutes", _minutes(budget), "--seconds", seconds, "--rounds", 3]
    return _bench(task, "tune", *how, "--batch-size", batch, "--only", setting)


STEPS = (
    Step("environment", 20, _environment, figures.environment, from_log=True),
    Step("decode", 90, _decode, figures.decode, tail=40),
    Step("tests", 100, _tests, figures.tests, tail=40, from_log=True),
    Step("loaders", 130, _loaders, figures.loaders, tail=20),
    Step("kernel", 30, _kernel, figures.kernel, tail=30),
    Step("step", 60, _step, figures.step),
    Step("tune", 50, _tune, figures.tune, tail=20),
)
"""Most valuable first."""

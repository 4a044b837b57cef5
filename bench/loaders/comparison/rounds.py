"""Rounds of measurements: loaders are started one after the other, then measured in turn, round by round."""

import time
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

from rich.console import Console
from rich.progress import Progress

from bench.common.timing import wait_until_quiet
from bench.loaders.comparison.budget import TimeBudget
from bench.loaders.comparison.rows import FAILED, row
from bench.loaders.contenders import Contender, Settings
from bench.loaders.process import SILENCE, ContenderError, ContenderProcess, Throughput
from dali_cutmix.utils import LINES, printable

QUIET = 3.0
"""Seconds that the other loaders have to become idle where time is limited."""

RoundResults = tuple[list[dict[str, Any]], list[dict[str, str]]]
"""A row for each contender that could be measured; name, label and reason for each that failed."""


def measure_in_rounds(
    contenders: list[Contender], settings: Settings, seconds: float, rounds: int, budget: TimeBudget | None = None
) -> RoundResults:
    """Measure all rounds; see ``each_round``."""
    *_, measured = each_round(contenders, settings, seconds, rounds, budget)
    return measured


def each_round(
    contenders: list[Contender],
    settings: Settings,
    seconds: float,
    rounds: int,
    budget: TimeBudget | None = None,
    silence: float = SILENCE,
) -> Generator[RoundResults]:
    """Measure each contender once in a round, while the others are idle.

    ::

        start and warm up A B C │ round 1: A B C │ round 2: B C A │ round 3: C A B

    Args:
        contenders: the loaders to measure.
        settings: settings that are the same for all contenders.
        seconds: length of one measurement.
        rounds: measurements of each contender.
        budget: contenders that do not fit into it are not started, except the first, which is the reference.
        silence: seconds without a batch after which a contender has failed.

    Yields:
        The results so far, once all contenders have started and after each round. Tracebacks go to standard error.
    """
    console = Console(stderr=True)
    processes: dict[str, ContenderProcess] = {}
    measured: dict[str, list[Throughput]] = {}
    failed: list[dict[str, str]] = []

    def fail(contender: Contender, error: ContenderError) -> None:
        details = f"\n{error.details.strip()}" if error.details else ""
        text = printable(f"{contender.label} failed: {error.reason}{details}", keep=LINES)
        console.print(text, markup=False, soft_wrap=True)
        failed.append({"name": contender.name, "label": contender.label, "reason": f"{FAILED}{error.reason}"})

    with ExitStack() as stack:
        progress = stack.enter_context(Progress(console=console, transient=True))
        task = progress.add_task("", total=len(contenders) * (1 + rounds))
        for contender in contenders:
            if budget and processes and not budget.allows(1, running=len(processes)):
                break
            progress.update(task, description=f"warming up {contender.label}")
            began = time.monotonic()
            try:
                processes[contender.name] = ContenderProcess(contender, settings, silence)
                stack.callback(processes[contender.name].close)
                measured[contender.name] = []
                if budget:
                    budget.started(time.monotonic() - began)
            except ContenderError as error:
                fail(contender, error)
            progress.advance(task)
        yield _rows(processes, measured), list(failed)
        for number in range(rounds):
            for name in _rotated(list(processes), number):
                process = processes[name]
                progress.update(task, description=f"round {number + 1}: {process.contender.label}")
                began = time.monotonic()
                others = [other.group for other in processes.values() if other is not process]
                wait_until_quiet(others, **({"limit": QUIET} if budget else {}))
                try:
                    measured[name].append(process.measure(seconds))
                    if budget:
                        budget.measured(time.monotonic() - began)
                except ContenderError as error:
                    fail(process.contender, error)
                    del processes[name], measured[name]
                progress.advance(task)
            yield _rows(processes, measured), list(failed)


def _rows(processes: dict[str, ContenderProcess], measured: dict[str, list[Throughput]]) -> list[dict[str, Any]]:
    return [
        row(process.contender, process.delivers, measured[name])
        for name, process in processes.items()
        if measured[name]
    ]


def _rotated(names: list[str], number: int) -> list[str]:
    """Rotate the order, so that each round starts with another contender."""
    start = number % len(names) if names else 0
    return names[start:] + names[:start]

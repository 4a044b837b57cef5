"""All contenders side by side: started one after the other, then measured in turn, round by round."""

import time
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

from rich.console import Console
from rich.progress import Progress

from bench.common import Budget, Contender, Settings, wait_until_quiet
from bench.loaders import report
from bench.loaders.runner import SILENCE, ContenderError, Runner
from bench.loaders.serving import Rate

QUIET = 3.0
"""Seconds that the others may take to go quiet where time is limited."""

Measured = tuple[list[dict[str, Any]], list[dict[str, str]]]
"""A row of the result for each that could be measured, and name, label and reason for each that failed."""


def measure_in_rounds(
    contenders: list[Contender], settings: Settings, seconds: float, rounds: int, budget: Budget | None = None
) -> Measured:
    """All rounds; see ``each_round``."""
    *_, measured = each_round(contenders, settings, seconds, rounds, budget)
    return measured


def each_round(
    contenders: list[Contender],
    settings: Settings,
    seconds: float,
    rounds: int,
    budget: Budget | None = None,
    silence: float = SILENCE,
) -> Generator[Measured]:
    """Measure each contender once in a round, while the others are idle.

    Args:
        contenders: whom.
        settings: what is equal for all.
        seconds: length of one measurement.
        rounds: measurements of each.
        budget: those that do not fit into it are not started; the first one is, as the others are compared with it.
        silence: seconds without a batch after which a contender has failed.

    Yields:
        What is known once all have started, and after each round. Tracebacks go to standard error.
    """
    console = Console(stderr=True)
    runners: dict[str, Runner] = {}
    rates: dict[str, list[Rate]] = {}
    failed: list[dict[str, str]] = []

    def fail(contender: Contender, error: ContenderError) -> None:
        details = f"\n{error.details.strip()}" if error.details else ""
        console.print(f"{contender.label} failed: {error.reason}{details}", markup=False, soft_wrap=True)
        failed.append({"name": contender.name, "label": contender.label, "reason": f"{report.FAILED}{error.reason}"})

    with ExitStack() as stack:
        progress = stack.enter_context(Progress(console=console, transient=True))
        task = progress.add_task("", total=len(contenders) * (1 + rounds))
        for contender in contenders:
            if budget and runners and not budget.allows(1, running=len(runners)):
                break
            progress.update(task, description=f"warming up {contender.label}")
            began = time.monotonic()
            try:
                runners[contender.name] = Runner(contender, settings, silence)
                stack.callback(runners[contender.name].close)
                rates[contender.name] = []
                if budget:
                    budget.started(time.monotonic() - began)
            except ContenderError as error:
                fail(contender, error)
            progress.advance(task)
        yield _rows(runners, rates), list(failed)
        for number in range(rounds):
            for name in _turned(list(runners), number):
                runner = runners[name]
                progress.update(task, description=f"round {number + 1}: {runner.contender.label}")
                began = time.monotonic()
                others = [other.group for other in runners.values() if other is not runner]
                wait_until_quiet(others, **({"limit": QUIET} if budget else {}))
                try:
                    rates[name].append(runner.measure(seconds))
                    if budget:
                        budget.measured(time.monotonic() - began)
                except ContenderError as error:
                    fail(runner.contender, error)
                    del runners[name], rates[name]
                progress.advance(task)
            yield _rows(runners, rates), list(failed)


def _rows(runners: dict[str, Runner], rates: dict[str, list[Rate]]) -> list[dict[str, Any]]:
    measured = [(runner, rates[name]) for name, runner in runners.items() if rates[name]]
    return [report.row(runner.contender, runner.delivers, each) for runner, each in measured]


def _turned(names: list[str], number: int) -> list[str]:
    """Every round starts with another one, so that nobody is always the first."""
    start = number % len(names) if names else 0
    return names[start:] + names[:start]

"""``python -m bench gpu``: run the steps one after the other, each with a time limit, and print their key figures."""

import json
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.common.cli import check_minimum, choose_device, new_result, usable_cores, write_json
from bench.common.photos import open_photos
from bench.common.processes import CommandEnd, describe_status, run_supervised
from bench.decode import LEVEL
from bench.gpu.key_figures import outcomes
from bench.gpu.steps import ROOT, STEPS, GpuStep, StepContext, budgets
from dali_cutmix.utils import remove_leftovers
from train.interrupts import INTERRUPTED

StepName = Literal["environment", "decode", "tests", "loaders", "kernel", "step", "tune"]
MOST_THREADS = 16
"""Threads that the decoder of one GPU can use, also on a machine with hundreds of cores."""
LONGEST = 600
"""Characters of a line that are shown; the log has the whole line."""
OK, STOPPED = "ok", "interrupted"
LIBRARY = "libnvjpeg.so*"


@dataclass(frozen=True)
class StepOutcome:
    """One line of the table."""

    step: str
    outcome: str
    figure: str
    seconds: float
    limit: float


def gpu(
    minutes: float = 8.0,
    steps: tuple[StepName, ...] = (),
    data: Path | None = None,
    out: Path | None = None,
    threads: int = 0,
    device: str = "cuda:0",
) -> int:
    """Run the GPU's tests and benchmarks within a given time, most valuable first; a failure ends no other step.

    Each step is a process with a time limit, its share of the time left: time that a step does not use goes to those
    after it. At its limit a step is ended with all processes that it started. The last lines are a table, which
    gpu.json contains, too.

    Args:
        minutes: time for all steps together.
        steps: steps to run, of environment, decode, tests, loaders, kernel, step and tune; all by default.
        data: folder with one subfolder of JPEG files for each class; without it, files made from scikit-learn's sample
            photographs: 4:2:0, on a GPU some 4:4:4 and gray.
        out: folder for the JSON of each step, gpu.json and gpu.log; by default $OUT, else bench/results for a GPU, and
            build/gpu for a CPU.
        threads: threads of the loaders; 0 means one for each usable core, at most 16.
        device: cuda:N, auto, or cpu to try the steps without a GPU.

    Returns:
        0, 1 where a step failed, or 130 where the run was interrupted.
    """
    if not 0 < minutes < float("inf"):
        raise ValueError(f"--minutes {minutes:g} given; it is the time for all steps, above 0.")
    check_minimum(0, threads=threads)
    device = choose_device(device)
    photos = open_photos(data, device)  # before any step: finds a wrong folder, makes the sample photographs
    context = StepContext(
        device, data and photos.root, _folder(out, device), threads or min(usable_cores(), MOST_THREADS)
    )
    context.out.mkdir(parents=True, exist_ok=True)
    chosen = [step for step in STEPS if not steps or step.name in steps]
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    settings = {"minutes": minutes, "threads": context.threads, "images": photos.images}
    result = new_result("gpu", device, settings) | {"steps": [], "tests": {}}
    lines: list[StepOutcome] = []
    with suppress(KeyboardInterrupt):
        for line, log in _run(chosen, context, 60 * minutes, console):
            lines.append(line)
            result["steps"] = [asdict(line) for line in lines]
            result["tests"] |= outcomes(log) if line.step == "tests" else {}
            write_json(context.out / "gpu.json", result)
    _print(lines, context, minutes, console)
    if len(lines) < len(chosen) or STOPPED in [line.outcome for line in lines]:
        return INTERRUPTED
    return 0 if all(line.outcome == OK for line in lines) else 1


def _folder(out: Path | None, device: str) -> Path:
    given = out or os.environ.get("OUT")
    if given:
        return Path(given).resolve()
    # A trial on a CPU is short, and its results do not belong next to those that were measured with care.
    return ROOT / ("build/gpu" if device == "cpu" else "bench/results")


def _run(
    steps: Sequence[GpuStep], context: StepContext, seconds: float, console: Console
) -> Iterator[tuple[StepOutcome, str]]:
    """Yield each step's line of the table, and what the step printed."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1", LEVEL: "1"}
    if folders := library_path(environment.pop("LD_LIBRARY_PATH", "")):
        environment["LD_LIBRARY_PATH"] = folders
    end = time.monotonic() + seconds
    path = context.out / "gpu.log"
    path.unlink(missing_ok=True)  # not what it may lead to
    path.touch(exist_ok=False)
    for number, step in enumerate(steps):
        began, start, before = time.time(), time.monotonic(), path.stat().st_size
        limit = budgets(steps[number:], end - start)
        console.rule(f"{step.name}, {limit:.0f} s at most", align="left")
        with path.open("ab", buffering=0) as log:
            try:
                command = step.command(context, limit)
                log.write(f"── {step.name}: {shlex.join(command)}\n".encode())
                outcome = _outcome(run_supervised(command, log, limit, cwd=ROOT, environment=environment))
            except KeyboardInterrupt:
                outcome = STOPPED
        text = path.read_bytes()[before:].decode(errors="replace")
        for line in text.splitlines()[1:][-step.tail :]:
            print(line[:LONGEST], flush=True)
        path_of_result = context.json(step.name)
        # A process that was killed may have left a partial file.
        remove_leftovers(path_of_result, older_than=0)
        figure = _figure(step, text, path_of_result, began)
        yield StepOutcome(step.name, outcome, figure, time.monotonic() - start, limit), text
        if outcome == STOPPED:
            return


def library_path(given: str) -> str:
    """Remove the folders of another nvJPEG, which would be loaded instead of DALI's; the driver may need the others.

    Args:
        given: value of ``LD_LIBRARY_PATH``.
    """
    folders = [folder for folder in given.split(os.pathsep) if folder]
    return os.pathsep.join(folder for folder in folders if not any(Path(folder).glob(LIBRARY)))


def _outcome(end: CommandEnd) -> str:
    if not end.gone:
        return "could not be ended"
    if end.status is None:
        return "time-out"
    return OK if end.status == 0 else describe_status(end.status)


def _figure(step: GpuStep, log: str, path: Path, began: float) -> str:
    """Read a step's key figure, also if it failed on the way; never from the result of an earlier run."""
    if not step.from_log and not (path.exists() and path.stat().st_mtime >= began - 1):
        return ""
    try:
        figure = step.figure(log, path)
        is_part = not step.from_log and json.loads(path.read_text()).get("complete") is False
        return f"{figure} (incomplete)" if is_part else figure
    except (KeyError, IndexError, StopIteration, ValueError) as error:
        return f"no figure in {path.name}: {error!r}"


def _print(lines: Sequence[StepOutcome], context: StepContext, minutes: float, console: Console) -> None:
    took = sum(line.seconds for line in lines)
    console.print(f"\n{took:.0f} of {60 * minutes:.0f} s; JSON and gpu.log in {context.out}", soft_wrap=True)
    table = Table()
    for name in ("step", "outcome", "figure"):
        table.add_column(name)
    table.add_column("seconds", justify="right")
    for line in lines:
        colour = "green" if line.outcome == OK else "red"
        outcome = f"[{colour}]{line.outcome}[/{colour}]"
        table.add_row(line.step, outcome, escape(line.figure), f"{line.seconds:.0f} of {line.limit:.0f}")
    console.print(table)

"""``python -m bench gpu``: what a short time on a GPU is best spent on, one step after the other, with limits."""

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

from bench.common import (
    STATUS,
    Ended,
    check_least,
    choose_device,
    cores,
    ended,
    new_result,
    open_photos,
    run,
    write_json,
)
from bench.decode import LEVEL
from bench.gpu.figures import outcomes
from bench.gpu.steps import ROOT, STEPS, Step, Task, budgets

Name = Literal["environment", "decode", "tests", "loaders", "kernel", "step", "tune"]
MOST_THREADS = 16
"""What one GPU's decoder makes use of; also on a machine with hundreds of cores."""
LONGEST = 600
"""Characters of a line that are shown; the log has it whole."""


OK, INTERRUPTED = "ok", "interrupted"
LIBRARY = "libnvjpeg.so*"


@dataclass(frozen=True)
class Outcome:
    """One line of the table."""

    step: str
    outcome: str
    figure: str
    seconds: float
    limit: float


def gpu(
    minutes: float = 8.0,
    steps: tuple[Name, ...] = (),
    data: Path | None = None,
    out: Path | None = None,
    threads: int = 0,
    device: str = "cuda:0",
) -> int:
    """Run the GPU's tests and benchmarks within a given time, most valuable first; a failure ends no other step.

    Each step is a process with a limit, its share of what is left: what a step does not use goes to those after it. One
    that runs into its limit is ended with everything it started. The last lines are a table; the same is in gpu.json.

    Args:
        minutes: for all steps together.
        steps: which of environment, decode, tests, loaders, kernel, step and tune; all by default.
        data: folder with one subfolder of JPEG files for each class; without it, files made from scikit-learn's sample
            photographs: 4:2:0, on a GPU some 4:4:4 and gray.
        out: folder for the JSON of each step, gpu.json and gpu.log; by default $OUT, else bench/results for a GPU, and
            build/gpu for a CPU.
        threads: of the loaders; 0 means one for each core that this process may use, at most 16.
        device: cuda:N, auto, or cpu to try the steps without a GPU.

    Returns:
        0, 1 where a step failed, 130 where it was interrupted.
    """
    if not 0 < minutes < float("inf"):
        raise ValueError(f"--minutes {minutes:g} given; it is the time for all steps, above 0.")
    check_least(0, threads=threads)
    device = choose_device(device)
    photos = open_photos(data, device)  # before anything runs: a wrong folder, and making the sample photographs
    task = Task(device, data and photos.root, _folder(out, device), threads or min(cores(), MOST_THREADS))
    task.out.mkdir(parents=True, exist_ok=True)
    chosen = [step for step in STEPS if not steps or step.name in steps]
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    settings = {"minutes": minutes, "threads": task.threads, "images": photos.images}
    result = new_result("gpu", device, settings) | {"steps": [], "tests": {}}
    lines: list[Outcome] = []
    with suppress(KeyboardInterrupt):
        for line, log in _run(chosen, task, 60 * minutes, console):
            lines.append(line)
            result["steps"] = [asdict(line) for line in lines]
            result["tests"] |= outcomes(log) if line.step == "tests" else {}
            write_json(task.out / "gpu.json", result)
    _print(lines, task, minutes, console)
    if len(lines) < len(chosen) or INTERRUPTED in [line.outcome for line in lines]:
        return STATUS
    return 0 if all(line.outcome == OK for line in lines) else 1


def _folder(out: Path | None, device: str) -> Path:
    given = out or os.environ.get("OUT")
    if given:
        return Path(given).resolve()
    # What is tried on a CPU is small, and no result to keep beside those that were measured with care.
    return ROOT / ("build/gpu" if device == "cpu" else "bench/results")


def _run(steps: Sequence[Step], task: Task, seconds: float, console: Console) -> Iterator[tuple[Outcome, str]]:
    """Each step's line of the table, and what it printed."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1", LEVEL: "1"}
    if folders := library_path(environment.pop("LD_LIBRARY_PATH", "")):
        environment["LD_LIBRARY_PATH"] = folders
    end = time.monotonic() + seconds
    path = task.out / "gpu.log"
    path.write_bytes(b"")
    for number, step in enumerate(steps):
        began, start, before = time.time(), time.monotonic(), path.stat().st_size
        limit = budgets(steps[number:], end - start)
        console.rule(f"{step.name}, {limit:.0f} s at most", align="left")
        with path.open("ab", buffering=0) as log:
            try:
                command = step.command(task, limit)
                log.write(f"── {step.name}: {shlex.join(command)}\n".encode())
                outcome = _outcome(run(command, log, limit, cwd=ROOT, environment=environment))
            except KeyboardInterrupt:
                outcome = INTERRUPTED
        text = path.read_bytes()[before:].decode(errors="replace")
        for line in text.splitlines()[1:][-step.tail :]:
            print(line[:LONGEST], flush=True)
        path_of_result = task.json(step.name)
        # What a process that was killed had half written.
        path_of_result.with_name(f".{path_of_result.name}.tmp").unlink(missing_ok=True)
        figure = _figure(step, text, path_of_result, began)
        yield Outcome(step.name, outcome, figure, time.monotonic() - start, limit), text
        if outcome == INTERRUPTED:
            return


def library_path(given: str) -> str:
    """Without folders of another nvJPEG, which would win over DALI's; the driver may be found through the others."""
    folders = [folder for folder in given.split(os.pathsep) if folder]
    return os.pathsep.join(folder for folder in folders if not any(Path(folder).glob(LIBRARY)))


def _outcome(end: Ended) -> str:
    if not end.gone:
        return "could not be ended"
    if end.status is None:
        return "time-out"
    return OK if end.status == 0 else ended(end.status)


def _figure(step: Step, log: str, path: Path, began: float) -> str:
    """Also of a step that failed, as far as it came; never of an earlier run."""
    if not step.from_log and not (path.exists() and path.stat().st_mtime >= began - 1):
        return ""
    try:
        figure = step.figure(log, path)
        is_part = not step.from_log and json.loads(path.read_text()).get("complete") is False
        return f"{figure} (incomplete)" if is_part else figure
    except (KeyError, IndexError, StopIteration, ValueError) as error:
        return f"no figure in {path.name}: {error!r}"


def _print(lines: Sequence[Outcome], task: Task, minutes: float, console: Console) -> None:
    took = sum(line.seconds for line in lines)
    console.print(f"\n{took:.0f} of {60 * minutes:.0f} s; JSON and gpu.log in {task.out}", soft_wrap=True)
    table = Table()
    for name in ("step", "outcome", "figure"):
        table.add_column(name)
    table.add_column("seconds", justify="right")
    for line in lines:
        colour = "green" if line.outcome == OK else "red"
        outcome = f"[{colour}]{line.outcome}[/{colour}]"
        table.add_row(line.step, outcome, escape(line.figure), f"{line.seconds:.0f} of {line.limit:.0f}")
    console.print(table)

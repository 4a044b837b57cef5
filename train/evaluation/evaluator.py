"""Common parts of all evaluators: their options, and a command that prints a table and writes files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import tyro

import dali_cutmix as dc
from dali_cutmix.utils import LINES, ends_with_reader, printable, write_atomically
from train.config import check, check_timeout
from train.engine import TIMEOUT, Meeting, Ranks, find_checkpoint, join_process_group
from train.interrupts import INTERRUPTED


@dataclass(frozen=True)
class EvaluatorOptions:
    """Options that all evaluators have.

    Raises:
        ValueError: a value is not allowed.
    """

    checkpoint: tyro.conf.Positional[Path]
    """Checkpoint (.pt), or a run folder, whose last.pt is used."""
    data: Path | None = None
    """Folder with one folder per class, or a folder that contains it as val/; or the folder CUB_200_2011; or an archive
    of CIFAR. The data of the training if not given."""
    weights: Literal["auto", "model", "ema"] = "auto"
    """Weights to evaluate: auto uses the averaged ones (ema) if the checkpoint has them."""
    output: Path | None = None
    """Path of the output files, to which endings such as .json are added; missing folders are created. CHECKPOINT with
    the evaluator's name if not given."""
    batch_size: int | None = None
    """Images per step over all processes; that of the training if not given."""
    device: str = "auto"
    """cpu, cuda, cuda:N, or auto: the GPU if there is one."""
    num_threads: int | None = None
    """Decoding threads of each process; chosen by the loader if not given."""
    timeout: float = TIMEOUT
    """Seconds that a process waits for another one, with several of them; then all end, and name who did not come."""

    def __post_init__(self) -> None:
        check_timeout(self.timeout)
        for name in ("batch_size", "num_threads"):
            if (value := getattr(self, name)) is not None:
                check(name, value, value > 0, "above 0")


OptionsT = TypeVar("OptionsT", bound=EvaluatorOptions)
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Report:
    """Output of an evaluation."""

    table: str
    """Text for the terminal."""
    results: dict[str, Any]
    """All numbers and what was measured, written as JSON."""
    files: dict[str, bytes]
    """Contents of other files, by their endings."""


@dataclass(frozen=True)
class Evaluator(Generic[OptionsT, ResultT]):
    """An evaluator: its options, a function that measures, and one that reports.

    Example, an evaluator that counts a checkpoint's parameters::

        from train.engine import Ranks
        from train.evaluation import Evaluator, EvaluatorOptions, Report, open_trained

        def evaluate(options: EvaluatorOptions, ranks: Ranks) -> int:
            trained = open_trained(options, ranks)
            return sum(parameter.numel() for parameter in trained.model.parameters())

        def report(parameters: int) -> Report:
            return Report(f"{parameters} parameters", {"parameters": parameters}, files={})

        EVALUATOR = Evaluator("size", EvaluatorOptions, evaluate, report)
        EVALUATOR.command(["runs/digits"])  # prints the table, writes runs/digits/last.size.json
    """

    name: str
    """Name on the command line and in the names of files, ``CHECKPOINT.name.json``."""
    options: type[OptionsT]
    """Options of the command."""
    evaluate: Callable[[OptionsT, Ranks], ResultT]
    """Measures; called on all processes."""
    report: Callable[[ResultT], Report]
    """Makes the report; called on the first process."""

    def run(self, options: OptionsT, ranks: Ranks) -> None:
        """Measure, print the table, and write the files.

        Raises:
            ValueError, OSError, DecodeError: the evaluation is impossible.
        """
        if options.output:
            options.output.parent.mkdir(parents=True, exist_ok=True)  # fail before the evaluation, not after it
        found = self.evaluate(options, ranks)
        if ranks.is_first:
            shown = self.report(found)
            output = options.output or find_checkpoint(options.checkpoint).with_suffix(f".{self.name}")
            written = _write(shown, output)
            print(printable(f"{shown.table}\nwritten to {written}", keep=LINES), flush=True)

    def command(self, arguments: list[str]) -> None:
        """Run ``python -m train.evaluate NAME …`` with these arguments."""
        command(self.name, self.options, self.run, arguments)


def command(name: str, options: type[OptionsT], run: Callable[[OptionsT, Ranks], None], arguments: list[str]) -> None:
    """Run an evaluator with the options of a command line; errors end it with a one-line message."""
    meeting = Meeting("give the command again")
    with ExitStack() as stack:
        try:
            with ends_with_reader():
                stack.enter_context(meeting)
                given = tyro.cli(options, prog=f"python -m train.evaluate {name}", args=arguments)
                run(given, stack.enter_context(join_process_group(given.device, given.timeout, meeting)))
        except (ValueError, OSError, dc.DecodeError) as error:
            sys.exit(f"error: {printable(error, keep=LINES)}")
        except KeyboardInterrupt:
            meeting.say("interrupted")
            sys.exit(INTERRUPTED)


def _write(report: Report, output: Path) -> str:
    """Write the JSON file and the others; return their names in words."""
    files = {**report.files, "json": json.dumps(report.results, indent=2).encode()}  # last, so it shows completeness
    for ending, content in files.items():
        write_atomically(output.with_name(f"{output.name}.{ending}"), content)
    first, *others = files
    return f"{output}.{first}" + "".join(f", .{ending}" for ending in others)

"""What all evaluators share: options, and a command that prints a table and writes files."""

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
from dali_cutmix.utils import write_atomically
from train.config import check
from train.engine import Ranks, find_checkpoint, join_process_group


@dataclass(frozen=True)
class EvaluatorOptions:
    """Which checkpoint, on what, how.

    Raises:
        ValueError: a value is outside what is allowed.
    """

    checkpoint: tyro.conf.Positional[Path]
    """Checkpoint (.pt), or a run folder, of which last.pt is taken."""
    data: Path | None = None
    """Folder with one folder for each class, or one that has it as val/; the folder CUB_200_2011; an archive of CIFAR;
    what the checkpoint was trained on if not given."""
    weights: Literal["auto", "model", "ema"] = "auto"
    """Which weights: auto takes the averaged ones (ema) where the checkpoint has them."""
    output: Path | None = None
    """Where to write, with endings such as .json added, folders are made; CHECKPOINT with the evaluator's name if not
    given."""
    batch_size: int | None = None
    """Images in one step over all processes; that of the training if not given."""
    device: str = "auto"
    """cpu, cuda, cuda:N, or auto: the GPU if there is one."""
    num_threads: int | None = None
    """Threads that decode, for each process; chosen by the loader if not given."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "num_threads"):
            if (value := getattr(self, name)) is not None:
                check(name, value, value > 0, "above 0")


OptionsT = TypeVar("OptionsT", bound=EvaluatorOptions)
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Report:
    """What is shown of an evaluation."""

    table: str
    """For reading."""
    results: dict[str, Any]
    """All numbers, and what they belong to, as JSON."""
    files: dict[str, bytes]
    """Others, by their endings."""


@dataclass(frozen=True)
class Evaluator(Generic[OptionsT, ResultT]):
    """One kind of evaluation."""

    name: str
    """On the command line, and of its files: ``CHECKPOINT.name.json``."""
    options: type[OptionsT]
    evaluate: Callable[[OptionsT, Ranks], ResultT]
    """Called by all processes."""
    report: Callable[[ResultT], Report]
    """Called by the first one."""

    def run(self, options: OptionsT, ranks: Ranks) -> None:
        """Measure, print the table, write the files.

        Raises:
            ValueError, OSError, DecodeError: it cannot be done.
        """
        if options.output:
            options.output.parent.mkdir(parents=True, exist_ok=True)  # what cannot be is told before the evaluation
        found = self.evaluate(options, ranks)
        if ranks.is_first:
            shown = self.report(found)
            output = options.output or find_checkpoint(options.checkpoint).with_suffix(f".{self.name}")
            print(shown.table)
            print(f"written to {_write(shown, output)}", flush=True)

    def command(self, arguments: list[str]) -> None:
        """``python -m train.evaluate NAME …``."""
        command(self.name, self.options, self.run, arguments)


def command(name: str, options: type[OptionsT], run: Callable[[OptionsT, Ranks], None], arguments: list[str]) -> None:
    """Run an evaluator with the options of a command line; whatever cannot be is told in a plain sentence."""
    given = tyro.cli(options, prog=f"python -m train.evaluate {name}", args=arguments)
    with ExitStack() as stack:
        try:
            run(given, stack.enter_context(join_process_group(given.device)))
        except (ValueError, OSError, dc.DecodeError) as error:
            sys.exit(f"error: {error}")


def _write(report: Report, output: Path) -> str:
    """Write JSON and the other files; their names, for reading."""
    files = {**report.files, "json": json.dumps(report.results, indent=2).encode()}  # last: with it all are there
    for ending, content in files.items():
        write_atomically(output.with_name(f"{output.name}.{ending}"), content)
    first, *others = files
    return f"{output}.{first}" + "".join(f", .{ending}" for ending in others)

"""The command ``python -m train study [RECIPE] [--options] [-- options of the trainings]``."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
from collections.abc import Iterator
from types import FrameType

import tyro

from dali_cutmix.utils import LINES, ends_with_reader, printable
from train.study.jobs import lock_folder, run
from train.study.options import StudyOptions
from train.study.plan import check_or_save_options, make_plan
from train.study.report import write
from train.study.results import collect, collect_transfer


def main(arguments: list[str]) -> int | str:
    """Run the command; return its exit status, or an error message."""
    own, extra = _split_arguments(arguments)
    again = shlex.join(["python", "-m", "train", "study", *arguments])
    try:
        with _sigterm(), ends_with_reader():
            failed = _run(tyro.cli(StudyOptions, prog="python -m train study", args=own), extra, again)
    except (OSError, ValueError) as error:
        return f"error: {printable(error, keep=LINES)}"
    except _EndError as ended:
        print(f"stopped; to go on: {printable(again)}", file=sys.stderr)
        return ended.status
    if failed:
        return printable("\n".join(["error: not everything could be done.", *failed, f"To go on: {again}"]), keep=LINES)
    return 0


def _run(options: StudyOptions, extra: list[str], again: str) -> list[str]:
    """Make the study, and write its report; a message for each step that failed."""
    plan = make_plan(options, extra)
    check_or_save_options(plan)
    with lock_folder(options.folder) as lock:
        print(f"{len(plan.trainings)} trainings, {plan.jobs} at once, into {printable(options.folder)}")
        for name, reason in plan.left_out.items():
            print(f"no {name}: {printable(reason)}")
        failed = run(plan, lock)
    if results := collect(plan):
        print(f"report: {printable(write(plan, results, collect_transfer(plan), again))}")
    return failed


def _split_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The arguments of the study, and those after -- for its trainings."""
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


class _EndError(Exception):
    """The study was ended by a signal."""

    def __init__(self, status: int) -> None:
        self.status = status


@contextlib.contextmanager
def _sigterm() -> Iterator[None]:
    """Turn SIGTERM and Ctrl-C into an exception, so that trainings can save their checkpoints."""

    def end(number: int, _: FrameType | None) -> None:
        raise _EndError(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

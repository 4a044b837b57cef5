"""The command ``python -m train [RECIPE] [--options]``, and ``python -m train study``."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from typing import NoReturn

import dali_cutmix as dc
from dali_cutmix.utils import LINES, printable
from train.cli import parse
from train.engine import PREEMPTED_STATUS, Preemption, Run, fit, join_process_group
from train.launch import start

INTERRUPTED = 128 + signal.SIGINT


def main() -> None:
    """Train, and print where the results are; errors end the command with a one-line message."""
    if sys.argv[1:2] == ["study"]:
        from train.study.command import main as study  # takes a second to import; no training needs it

        sys.exit(study(sys.argv[2:]))
    with ExitStack() as stack:
        try:
            config = parse(sys.argv[1:])
            ranks = stack.enter_context(join_process_group(config.device))
            run = start(config, ranks)
        except (ValueError, OSError) as error:
            sys.exit(f"error: {printable(error, keep=LINES)}")
        except KeyboardInterrupt:
            print("interrupted before training began", file=sys.stderr)
            sys.exit(INTERRUPTED)
        try:
            with Preemption(ranks) as preemption:
                last = fit(run, preemption)
        except (FloatingPointError, OSError, dc.DecodeError) as error:
            sys.exit(f"error: {printable(error, keep=LINES)}")
        except KeyboardInterrupt:
            exit_unfinished("interrupted", run, INTERRUPTED)
        if last is None:
            exit_unfinished(f"stopped by SIGTERM after step {run.step}", run, PREEMPTED_STATUS)
        if ranks.is_first:
            print(f"{run.task.headline(last)}; metrics and checkpoints are in {printable(run.folder)}")


def exit_unfinished(why: str, run: Run, status: int) -> NoReturn:
    """Exit from an unfinished run; the first process prints why, and how to continue it."""
    if run.ranks.is_first:
        saved = (run.folder / "last.pt").exists()
        how = (
            f"continue with: python -m train --resume {printable(run.folder)}" if saved else "it has no checkpoint yet"
        )
        print(f"{why}; {how}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()

"""The command ``python -m train [RECIPE] [--options]``, and ``python -m train study``."""

from __future__ import annotations

import shlex
import sys
from contextlib import ExitStack
from typing import NoReturn

from train.interrupts import INTERRUPTED, interrupts_end_process

with interrupts_end_process():
    import dali_cutmix as dc
    from dali_cutmix.utils import LINES, ends_with_reader, exit_with, printable
    from train.cli import parse
    from train.engine import PREEMPTED_STATUS, Meeting, Preemption, Run, fit, join_process_group
    from train.launch import start


def main() -> None:
    """Train, and print where the results are; errors end the command with a one-line message."""
    if sys.argv[1:2] == ["study"]:
        with interrupts_end_process():
            from train.study.command import main as study  # takes a second to import; no training needs it

        sys.exit(study(sys.argv[2:]))
    meeting = Meeting()
    with ExitStack() as stack:
        try:
            with ends_with_reader():
                stack.enter_context(meeting)
                config = parse(sys.argv[1:])
                ranks = stack.enter_context(join_process_group(config.device, config.timeout, meeting))
                run = start(config, ranks)
                meeting.advice = lambda: how_to_continue(run)
        except (ValueError, OSError) as error:
            sys.exit(f"error: {printable(error, keep=LINES)}")
        except KeyboardInterrupt:
            meeting.say("interrupted before training began")
            sys.exit(INTERRUPTED)
        try:
            with ends_with_reader():
                with Preemption(ranks) as preemption:
                    last = fit(run, preemption)
                if last and ranks.is_first:
                    print(f"{run.task.headline(last)}; metrics and checkpoints are in {printable(run.folder)}")
        except (FloatingPointError, OSError, dc.DecodeError) as error:
            sys.exit(f"error: {printable(error, keep=LINES)}")
        except KeyboardInterrupt:
            exit_unfinished("interrupted", run, INTERRUPTED)
        if last is None:
            exit_unfinished(f"stopped by SIGTERM after step {run.step}", run, PREEMPTED_STATUS)


def exit_unfinished(why: str, run: Run, status: int) -> NoReturn:
    """Exit from an unfinished run; one process prints why, and how to continue it."""
    run.ranks.meeting.say(f"{why}; {how_to_continue(run)}")
    sys.exit(status)


def how_to_continue(run: Run) -> str:
    """The command that continues a run from its last checkpoint."""
    saved = (run.folder / "last.pt").exists()
    folder = printable(shlex.quote(str(run.folder)))
    return f"continue with: python -m train --resume {folder}" if saved else "it has no checkpoint yet"


if __name__ == "__main__":
    exit_with(main)

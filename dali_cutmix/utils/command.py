"""Commands: what they print can be printed, and what goes wrong is said in one line."""

import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from dali_cutmix.utils.printable import printable

INTERRUPTED = 130
_CLOSED = 141  # as a shell says it of a process that SIGPIPE ended


def run_command(work: Callable[[], int], *, failed: int, interrupted: str) -> int:
    """Run a command.

    Errors are printed in one line, with what could move the cursor escaped. If standard output is closed before the
    command is done, as by ``| head``, it ends without a word.

    Args:
        work: the command; returns its exit status, raises OSError or ValueError.
        failed: exit status after such an error.
        interrupted: what to print after Ctrl-C.

    Returns:
        The exit status.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # set while the command imported
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal's encoding may lack a character
            stream.reconfigure(errors="backslashreplace", line_buffering=True)
    try:
        status = work()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        with Path(os.devnull).open("w") as nothing:  # what is still to be written must not fail at exit
            os.dup2(nothing.fileno(), sys.stdout.fileno())
        return _CLOSED
    except (OSError, ValueError) as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        return failed
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return INTERRUPTED
    return status

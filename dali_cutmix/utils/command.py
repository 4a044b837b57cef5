"""Commands: what they print can be printed, and what goes wrong is said in one line."""

import argparse
import io
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TextIO

from dali_cutmix.utils.printable import printable

_INTERRUPTED = 128 + signal.SIGINT
_CLOSED = 128 + signal.SIGPIPE  # as a shell says it of a process that the signal ended


class ArgumentParser(argparse.ArgumentParser):
    """A parser that prints its errors escaped: a shell puts names of files in place of ``*``."""

    def error(self, message: str) -> NoReturn:
        """Print the error, and end the process with status 2."""
        super().error(printable(message))


def run_command(work: Callable[[], int], *, failed: int, interrupted: str) -> int:
    """Run a command.

    Errors are printed in one line, with what could move the cursor escaped. If its reader goes away, it ends as
    :func:`ends_with_reader` says.

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
        with ends_with_reader():
            return work()
    except (OSError, ValueError) as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        return failed
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return _INTERRUPTED


def exit_with(main: Callable[[], int | str | None]) -> NoReturn:
    """Run the main function of a command, and end the process with the status that it returns.

    Ctrl-C behind it ends the process at once: Python is shutting down then, which takes a while, and would print
    tracebacks of whatever it is in.
    """
    try:
        sys.exit(main())
    finally:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def ends_with_reader() -> Iterator[None]:
    """Context that ends the process, without a word, when the reader of what it prints goes away (``| head``).

    Example:
        >>> with ends_with_reader():
        ...     print("some lines")
        some lines

    Raises:
        SystemExit: status 141.
    """
    try:
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
    except BrokenPipeError:
        closed = [stream for stream in (sys.stdout, sys.stderr) if _is_closed(stream)]
        if not closed:  # another pipe than those
            raise
        with Path(os.devnull).open("w") as nothing:  # what is still to be written must not fail at exit
            for stream in closed:
                os.dup2(nothing.fileno(), stream.fileno())
        sys.exit(_CLOSED)


def _is_closed(stream: TextIO | None) -> bool:
    """Whether the reader of a stream has gone away."""
    if stream is None:
        return False
    look = select.poll()
    try:
        look.register(stream, 0)
    except OSError:  # not a file, but in memory
        return False
    return bool(look.poll(0))

"""Ctrl-C while a command still imports, which takes seconds."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 128 + signal.SIGINT
"""Exit status, 130, of a command that Ctrl-C ended."""


@contextmanager
def interrupts_end_process() -> Iterator[None]:
    """Let Ctrl-C end the process at once, with status 130 in a shell and without a traceback.

    An exception in the middle of an import may become another one there: "numpy is not installed".

    Example::

        with interrupts_end_process():
            import torch
    """
    heard = signal.getsignal(signal.SIGINT)
    if heard is signal.default_int_handler:  # not where it is ignored, as in jobs in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)

"""SIGTERM as an interrupt: ``finally`` blocks run, so that temporary folders are removed and child processes ended."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` at the first SIGTERM; a second one does not disturb the cleanup.

    Example:
        >>> import os
        >>> try:
        ...     with interruptible():
        ...         os.kill(os.getpid(), signal.SIGTERM)
        ... except KeyboardInterrupt:
        ...     print("temporary folders are gone")
        temporary folders are gone
    """

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

"""Ctrl-C while a command of this package still imports: it ends without a traceback.

``python -m dali_cutmix.check`` imports this package before its own first line, which takes seconds. The process ends as
one that has no handler for Ctrl-C: a shell sees status 130. Programs that import the package are left alone.
"""

import sys
from itertools import pairwise
from types import TracebackType

COMMANDS = {"dali_cutmix.check", "dali_cutmix.pack", "dali_cutmix.pack.__main__"}


def is_command(arguments: list[str]) -> bool:
    """Whether a command line starts one of the package's commands.

    Example:
        >>> is_command(["python", "-u", "-m", "dali_cutmix.check", "photos"])
        True
        >>> is_command(["python", "train.py", "-m", "dali_cutmix.check"])
        False
    """
    for word, following in pairwise(arguments[1:]):
        if word == "-m":
            return following in COMMANDS
        if not word.startswith("-"):  # a script; options of Python with a value of their own do not matter here
            return False
    return False


def _without_interrupts(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


if is_command(sys.orig_argv):
    sys.excepthook = _without_interrupts

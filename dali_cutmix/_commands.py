"""Ctrl-C while a command of this package still imports: it ends the process at once, as one that has no handler.

``python -m dali_cutmix.check`` imports this package before its own first line, which takes seconds. An exception there
would be a traceback, or another exception of the library that is being imported. A shell sees status 130. Programs that
import the package are left alone; :func:`dali_cutmix.utils.run_command` lets Ctrl-C raise KeyboardInterrupt again.
"""

import signal
import sys
from itertools import pairwise

COMMANDS = {"dali_cutmix.check", "dali_cutmix.pack"}


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


if is_command(sys.orig_argv) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

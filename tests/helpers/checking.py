"""The command dali_cutmix.check as a user runs it, and the crash that a file can cause."""

import os
import re
import signal
import subprocess
import sys

from tests.helpers import ROOT


def run_check(*arguments, timeout=120, **options):
    """The command in a process of its own."""
    command = [sys.executable, "-m", "dali_cutmix.check", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, capture_output=True, check=False, timeout=timeout, **{"env": environment, "text": True} | options
    )


def named(text):
    """Path and reason of every bad file that was printed."""
    return dict(line.split(": ", 1) for line in text.splitlines() if not re.match(r"\d+ images checked", line))


def ends_its_process(number, real):
    """``find_undecodable``, with a decoder that ends its process where it meets the bytes ``crash``."""

    def find(images, *rest, **options):
        if any(image[:5].tobytes() == b"crash" for image in images):
            os.kill(os.getpid(), number)
            signal.pause()
        return real(images, *rest, **options)

    return find

"""Ctrl-C in the seconds in which a command imports ends it with status 130 and without a traceback."""

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.helpers.training import environment_with

NUMPY, TORCH, DALI = "_multiarray_umath", "libtorch_cpu", "libdali_core"


def has_loaded(pid: int, library: str) -> bool:
    with suppress(OSError):
        return library in Path(f"/proc/{pid}/maps").read_text()
    return False


@pytest.mark.parametrize(
    ("command", "library"),
    [
        ("train", NUMPY),  # an exception in its import was an ImportError: "needs DALI, which is not installed"
        ("train.evaluate", TORCH),
        ("bench", DALI),
        ("dali_cutmix.check", NUMPY),
        ("dali_cutmix.pack", DALI),
    ],
)
def test_interrupted_while_it_loads(command, library):
    process = subprocess.Popen(
        [sys.executable, "-m", command, "--help"],
        env=environment_with(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # jobs in the background ignore it
    )
    deadline = time.monotonic() + 60
    while not has_loaded(process.pid, library) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert errors == ""
    assert output == ""
    assert process.returncode == -signal.SIGINT  # a shell sees 130

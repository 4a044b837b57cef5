"""A command that crashes, hangs or leaves processes behind is ended within its limit, and how it ended is named."""

import os
import signal
import subprocess
import time

import pytest

from bench.common.processes import supervised
from tests.helpers import ROOT
from tests.helpers.gpu_steps import python
from tests.helpers.processes import are_gone


def supervise(code, tmp_path, limit):
    with (tmp_path / "log").open("wb") as log:
        return supervised.run_supervised(python(code, tmp_path), log, limit, cwd=tmp_path, environment=os.environ)


@pytest.mark.parametrize(
    ("code", "status"),
    [("print(1)", 0), ("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 11)", -signal.SIGSEGV)],
    ids=["ends", "fails", "crashes"],
)
def test_how_a_command_ended_is_told(tmp_path, code, status):
    assert supervise(code, tmp_path, 30).status == status


def test_a_signal_without_a_name_is_told_by_its_number():
    assert [supervised.describe_status(status) for status in (2, -9, -35)] == ["exit status 2", "SIGKILL", "signal 35"]


STUBBORN = """
import os, pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) > 2:
    os.setpgid(0, 0)
else:
    subprocess.Popen([sys.executable, "-c", pathlib.Path("stubborn.py").read_text(), sys.argv[1], "child"])
pathlib.Path(f"{os.getpid()}.pid").touch()
END = time.time() + 60
while time.time() < END:
    time.sleep(0.1)
"""


def test_what_hangs_is_ended_within_its_limit_with_its_children_whatever_they_ignore(tmp_path):
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    start = time.monotonic()
    ended = supervise(STUBBORN, tmp_path, 2.5)
    assert (ended.status, ended.gone) == (None, True)
    assert 2 < time.monotonic() - start < 4
    pids = [int(file.stem) for file in tmp_path.glob("*.pid")]
    assert len(pids) == 2
    assert are_gone(pids)


def test_what_a_command_leaves_behind_is_ended_too(tmp_path):
    leave = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)"
    assert supervise(leave, tmp_path, 30).status == 0
    assert are_gone([int((tmp_path / "log").read_text())])


CLEANS = """
import pathlib, sys, tempfile, time
from bench.common.processes.interrupt import interruptible
with interruptible(), tempfile.TemporaryDirectory(dir=sys.argv[1]) as folder:
    try:
        time.sleep(60)
    finally:
        pathlib.Path(sys.argv[1], "cleaned").touch()
        time.sleep(float(sys.argv[2]))
"""


def test_a_command_may_clean_up_before_its_limit(tmp_path):
    """Temporary folders go; a second request to end does not disturb that."""
    start = time.monotonic()
    process = subprocess.Popen(python(CLEANS, tmp_path, 0.3), cwd=ROOT, stderr=subprocess.DEVNULL)
    while not any(tmp_path.iterdir()) and time.monotonic() < start + 30:
        time.sleep(0.02)
    process.terminate()
    while not (tmp_path / "cleaned").exists() and time.monotonic() < start + 30:
        time.sleep(0.02)
    process.terminate()
    assert process.wait(30) == -signal.SIGINT  # Python's own answer to an interrupt that nobody catches
    assert [file.name for file in tmp_path.iterdir()] == ["cleaned"]

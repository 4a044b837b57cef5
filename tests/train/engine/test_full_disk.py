"""A full disk or an unwritable folder while saving: a clear error, and the last checkpoint intact to resume from."""

import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from tests.helpers import tally
from tests.helpers.kills import Training
from tests.helpers.training import ALONE, assert_same_result, environment_with, make_folder, rows
from train.cli import parse
from train.engine.checkpoint import Checkpoint
from train.engine.loop import fit
from train.engine.metrics_log import MetricsLog
from train.launch import start

ERROR = (
    r"error: \[Errno \d+\] could not be saved \({}\); the previous one is intact: '{}/(best.pt|last.pt|metrics.csv)'\n?"
)


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """A run of twelve epochs of six steps."""
    data = make_folder(tmp_path_factory.mktemp("data"))
    size = ["--size", "32", "--val-resize", "32", "--batch-size", "8", "--warmup-epochs", "0", "--epochs", "12"]
    return ["--data", str(data), *size, "--device", "cpu", "--num-threads", "1"]


@pytest.fixture(scope="module")
def whole(options, tmp_path_factory):
    """The folder of a run that met no obstacle."""
    folder = tmp_path_factory.mktemp("whole")
    fit(start(parse([*options, "--output-dir", str(folder)]), ALONE))
    return folder


def after(statement: str) -> list[str]:
    """The beginning of a command line, whose rest runs after a statement of Python."""
    return [sys.executable, "-c", f"import os, sys; {statement}; os.execv(sys.argv[1], sys.argv[1:])"]


def begin(folder, options, steps):
    """Train so many steps."""
    run = start(parse([*options, "--output-dir", str(folder)]), ALONE)
    fit(run, stop=lambda: run.step >= steps)
    assert Checkpoint.load(folder).step == steps


def assert_goes_on(folder, whole):
    fit(start(parse(["--resume", str(folder)]), ALONE))
    assert_same_result(folder / "last.pt", whole / "last.pt")
    assert rows(folder) == rows(whole)
    tally.count("resumes")


def test_a_checkpoint_that_finds_no_room(options, whole, tmp_path):
    """A limit of the size of a file stands in for the disk: it needs no privilege, and writing fails in the middle."""
    begin(tmp_path, options, steps=8)
    before = (tmp_path / "last.pt").read_bytes()
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) // 2},) * 2)"
    done = subprocess.run(
        [*after(limit), sys.executable, "-m", "train", "--resume", str(tmp_path)],
        env=environment_with(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert re.fullmatch(ERROR.format("File too large", tmp_path), done.stderr)
    assert (tmp_path / "last.pt").read_bytes() == before
    assert not list(tmp_path.glob(".*"))
    assert_goes_on(tmp_path, whole)


OWN_DISK = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]


def can_mount() -> bool:
    mount = [*OWN_DISK, "mount -t tmpfs none /tmp"]
    return bool(shutil.which("unshare")) and not subprocess.run(mount, capture_output=True, check=False).returncode


@pytest.mark.skipif(not can_mount(), reason="this user may not mount a file system")
def test_a_full_disk(options, whole, tmp_path):
    """A file system with room for two checkpoints, and not for a third before it takes the place of another."""
    disk = tmp_path / "disk"
    disk.mkdir()
    room = (whole / "last.pt").stat().st_size * 5 // 2
    script = 'mount -t tmpfs -o size=$1 none "$0" && shift && "$@"; status=$?; cp -r "$0/run" "$0.saved"; exit $status'
    command = [sys.executable, "-m", "train", *options, "--output-dir", disk / "run"]
    done = subprocess.run(
        [str(word) for word in (*OWN_DISK, script, disk, room, *command)],
        env=environment_with(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert re.fullmatch(ERROR.format("No space left on device", disk / "run"), done.stderr)
    saved = tmp_path / "disk.saved"
    assert Checkpoint.load(saved).epoch == len(rows(saved)) > 0
    assert_goes_on(saved, whole)


# Capability 1, DAC_OVERRIDE, leaves the bounding set (24, PR_CAPBSET_DROP): then permissions bind root too.
WITHOUT_PRIVILEGE = "import ctypes; ctypes.CDLL(None).prctl(24, 1)"


def test_a_folder_that_becomes_unwritable(options, whole, tmp_path):
    folder = tmp_path / "run"
    with Training(folder, options, prefix=after(WITHOUT_PRIVILEGE)) as training:
        frozen = training.freeze("step", random.Random(0))
        folder.chmod(0o555)
        os.kill(frozen, signal.SIGCONT)
        assert training.finish() == 1
        said = training.output.read_text().splitlines()[-1]
    folder.chmod(0o755)
    assert re.fullmatch(ERROR.format("Permission denied", folder), said)
    assert 0 < Checkpoint.load(folder).step < 12 * 6
    assert_goes_on(folder, whole)


def test_events_that_find_no_room(tmp_path, monkeypatch):
    printed = []
    monkeypatch.setattr(threading, "excepthook", printed.append)  # TensorBoard's thread raises it, too
    before = {thread.name for thread in threading.enumerate()}
    log = MetricsLog(tmp_path, 0, active=True)
    name = next(tmp_path.glob("events*"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (name.stat().st_size, hard))
    try:
        with pytest.raises(OSError, match=r"TensorBoard's events could not be written \(File too large\): '") as raised:
            log.step(1, {"train/loss": 1.0})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    for thread in threading.enumerate():
        if thread.name not in before:
            thread.join(10)
    assert raised.value.filename == str(tmp_path)
    assert not printed

"""Steps of a study as processes: one fails or cannot be started, Ctrl-C, a started study goes on."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from tests.helpers import tally
from tests.helpers.boxed_images import make_boxed
from tests.helpers.studies import TRAININGS
from tests.helpers.training import environment_with
from train.study import command, jobs
from train.study.jobs import lock_folder
from train.study.options import StudyOptions
from train.study.plan import make_plan
from train.study.step import Step, result


def test_a_training_that_fails_is_named(data, tmp_path):
    broken = make_boxed(tmp_path / "set", train=6, val=2)
    (broken / "train" / "pale" / "0.png").write_text("no image")
    given = ["digits", "--data", str(broken), "--output", str(tmp_path / "study"), "--device", "cpu", "--jobs", "1"]
    given += ["--methods", "none", "--seeds", "1", "--steps", "2", "--noise-images", "10"]
    said = command.main([*given, "--", *TRAININGS])
    assert "none 0, train failed (exit status 1):" in said
    assert "train/pale/0.png" in said
    assert f"To go on: python -m train study digits --data {broken}" in said


def test_a_started_study_goes_on_from_what_is_there(data, tmp_path):
    plan = make_plan(StudyOptions(data=data, device="cpu", output=tmp_path, methods=("none",), seeds=1), TRAININGS)
    train, evaluate = plan.trainings[0].steps
    assert train.to_start() == train.command
    assert evaluate.to_start() == evaluate.command
    (tmp_path / "none-0").mkdir()
    result(tmp_path / "none-0", "eval").touch()
    assert evaluate.to_start()[-4:] == ["--only", "robustness", "uncertainty", "localization"]
    (tmp_path / "none-0" / "last.pt").touch()
    assert train.to_start()[2:5] == ["train", "--resume", str(tmp_path / "none-0")]


def steps_of(folder, *scripts) -> SimpleNamespace:
    """A training of small programs, each of which is done when it has written its number."""
    steps = tuple(
        Step(f"{n}", [sys.executable, "-c", script], folder / "log.txt", (folder / f"{n}").exists)
        for n, script in enumerate(scripts)
    )
    return SimpleNamespace(method=folder.name, seed=0, folder=folder, steps=steps)


def test_a_step_that_cannot_be_started_lets_the_others_save_and_end(tmp_path):
    """The second one's folder is a file."""
    program = f"""
import pathlib, signal, sys, time
def save(*_):
    pathlib.Path("{tmp_path}/saved").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
pathlib.Path("{tmp_path}/ready").touch()
time.sleep(60)
"""
    first = steps_of(tmp_path / "first", program)
    second = steps_of(tmp_path / "second", "pass")
    (tmp_path / "second").touch()
    original = jobs._start

    def start(training, *given):
        if training is second:
            while not (tmp_path / "ready").exists():
                time.sleep(0.01)
        return original(training, *given)

    with pytest.MonkeyPatch.context() as patch, lock_folder(tmp_path) as lock:
        patch.setattr(jobs, "_start", start)
        with pytest.raises(FileExistsError):
            jobs.run(SimpleNamespace(trainings=(first, second), random=(), jobs=2), lock)
    assert (tmp_path / "saved").exists()


def test_ctrl_c_at_a_terminal_is_for_the_study_which_lets_trainings_save(tmp_path):
    """A terminal sends SIGINT to all processes of the group."""
    training = f"""
import pathlib, signal, sys, time
def save(number, _):
    pathlib.Path("{tmp_path}/got").write_text(str(int(number)))
    sys.exit(128 + number)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, save)
pathlib.Path("{tmp_path}/ready").touch()
time.sleep(60)
"""
    study = f"""
import sys
from pathlib import Path
from types import SimpleNamespace
from train.study import jobs
from train.study.step import Step
root = Path({str(tmp_path)!r})
step = Step("train", [sys.executable, "-c", {training!r}], root / "log.txt", lambda: False)
one = SimpleNamespace(method="none", seed=0, folder=root, steps=(step,))
with jobs.lock_folder(root) as lock:
    jobs.run(SimpleNamespace(trainings=(one,), random=(), jobs=1), lock)
"""
    process = subprocess.Popen([sys.executable, "-c", study], env=environment_with(), start_new_session=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=30)
    assert (tmp_path / "got").read_text() == str(int(signal.SIGTERM))
    tally.count("kills")

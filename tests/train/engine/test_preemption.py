"""SIGTERM from a scheduler saves and ends; Ctrl-C ends with one sentence; resuming loses nothing after either."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from tests.helpers import tally
from tests.helpers.kills import Training
from tests.helpers.training import ALONE, assert_same_result, environment_with, make_folder, quick, rows
from train import __main__ as training
from train.engine.checkpoint import Checkpoint
from train.engine.loop import fit
from train.engine.preemption import Preemption
from train.engine.schedule import Schedule
from train.engine.watch import PREEMPTED_STATUS
from train.launch import start
from train.models import classifiers
from train.tasks import classification


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """The folder of a run of three epochs with six steps each that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    fit(start(quick(data, folder), ALONE))
    return folder


@pytest.fixture
def signal_in(monkeypatch):
    """``signal_in(owner, name, which=…)``: send this process a signal whenever a function is called, or once."""

    def signal_in(owner, name, number=signal.SIGTERM, which=None):
        original, calls = getattr(owner, name), []

        def send(*arguments, **options):
            calls.append(name)
            if which is None or len(calls) == which:
                os.kill(os.getpid(), number)
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, send)

    # A shell's background jobs, and so the tests in them, ignore Ctrl-C; a user's command does not.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal_in
    signal.signal(signal.SIGINT, before)


def train(config):
    run = start(config, ALONE)
    with Preemption(ALONE) as preemption:
        return fit(run, preemption)


@pytest.mark.parametrize(
    ("owner", "name", "which", "saved"),
    [
        (Schedule, "__call__", 1, 1),
        (Schedule, "__call__", 9, 9),
        (Schedule, "__call__", 6, 7),  # an epoch's last step: validation follows, and one step of the next epoch
        (classification, "evaluate", 1, 7),
        (Checkpoint, "save", 2, 7),  # last.pt at the epoch's end
        (os, "fsync", None, 1),  # and again in every save that the first signal leads to
    ],
)
def test_a_run_is_saved_wherever_the_signal_comes(
    data, whole, tmp_path, monkeypatch, signal_in, owner, name, which, saved
):
    config = quick(data, tmp_path)
    signal_in(owner, name, which=which)
    assert train(config) is None
    monkeypatch.undo()
    assert Checkpoint.load(tmp_path).step == saved
    assert not list(tmp_path.glob(".*"))
    assert train(replace(config, resume=tmp_path))["epoch"] == 3
    assert_same_result(tmp_path / "last.pt", whole / "last.pt")
    assert_same_result(tmp_path / "best.pt", whole / "best.pt")
    assert rows(tmp_path) == rows(whole)
    tally.count("resumes")


def test_a_signal_in_the_last_epochs_end_is_too_late_to_stop_anything(data, tmp_path, signal_in):
    signal_in(classification, "evaluate", which=3)
    assert train(quick(data, tmp_path))["epoch"] == 3


def test_a_loss_that_is_no_number_is_not_saved(data, tmp_path):
    run = start(quick(data, tmp_path), ALONE)
    with torch.no_grad():
        run.model.fc.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="the loss is nan after step 1; lower --lr"):
        fit(run, stop=lambda: True)
    assert not (tmp_path / "last.pt").exists()


def test_the_handler_that_was_there_returns():
    before = signal.getsignal(signal.SIGTERM)
    with Preemption(ALONE) as preemption:
        assert not preemption()
        os.kill(os.getpid(), signal.SIGTERM)
        assert preemption()
        assert preemption()
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_command_ends_with_143_and_says_how_to_continue(data, tmp_path):
    """SIGTERM twice, as from a scheduler that signals torchrun and its processes, and torchrun them once more."""
    size = ["--size", "32", "--val-resize", "32", "--batch-size", "4", "--warmup-epochs", "0", "--epochs", "40"]
    options = ["--data", str(data), *size, "--device", "cpu", "--num-threads", "1"]
    with Training(tmp_path / "run", options) as command:
        command.wait_for_checkpoints(1)
        command.process.send_signal(signal.SIGTERM)
        command.process.send_signal(signal.SIGTERM)
        assert command.finish() == PREEMPTED_STATUS == 143
        last = command.output.read_text().splitlines()[-1]
    step = Checkpoint.load(tmp_path / "run").step
    assert last == f"stopped by SIGTERM after step {step}; continue with: python -m train --resume {tmp_path / 'run'}"
    assert 12 < step < 40 * 12
    assert step % 12


def test_during_set_up_the_signal_just_ends_the_process(whole):
    """To a shell, whose $? this is, the status is the same as later."""
    script = "import os; from train import __main__; from train.models import classifiers as models; "
    script += "models.build = lambda *_: os.kill(os.getpid(), 15); "
    before = {path: path.read_bytes() for path in whole.iterdir()}
    done = subprocess.run(
        ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", f"{script}__main__.main()", "--resume", str(whole)],
        env=environment_with(),
    )
    assert done.returncode == PREEMPTED_STATUS
    assert {path: path.read_bytes() for path in whole.iterdir()} == before


def test_control_c_during_set_up(data, tmp_path, monkeypatch, signal_in, capsys):
    monkeypatch.setattr(training, "parse", lambda _: quick(data, tmp_path / "run"))
    signal_in(classifiers, "build", signal.SIGINT)
    with pytest.raises(SystemExit) as done:
        training.main()
    assert done.value.code == 130
    assert capsys.readouterr().err == "interrupted before training began\n"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("which", "epochs", "said"),
    [(8, 1, "continue with: python -m train --resume {}"), (3, 0, "it has no checkpoint yet")],
)
def test_control_c_ends_in_a_sentence(data, whole, tmp_path, monkeypatch, signal_in, capsys, which, epochs, said):
    config = quick(data, tmp_path)
    monkeypatch.setattr(training, "parse", lambda _: config)
    signal_in(Schedule, "__call__", signal.SIGINT, which)
    with pytest.raises(SystemExit) as done:
        training.main()
    assert done.value.code == 130
    assert capsys.readouterr().err.splitlines()[-1] == f"interrupted; {said.format(tmp_path)}"
    assert len(rows(tmp_path)) == epochs
    if epochs:
        assert Checkpoint.load(tmp_path).epoch == epochs
        monkeypatch.undo()
        fit(start(replace(config, resume=tmp_path), ALONE))
        assert_same_result(tmp_path / "last.pt", whole / "last.pt")
        tally.count("resumes")

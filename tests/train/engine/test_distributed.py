"""Several processes under torchrun, and devices."""

import json

import pytest
import torch

from tests.helpers import tally
from tests.helpers.training import ALONE, assert_same_result, command, make_folder
from train.engine.checkpoint import Checkpoint
from train.engine.distributed import join_process_group, resolve_device
from train.evaluation.accuracy import AccuracyOptions, evaluate


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("data"), val=3)


@pytest.fixture(scope="module")
def options(data):
    steady = ["--schedule", "step", "--warmup-epochs", "0", "--ema", "0.9", "--lr", "0.01"]
    return ["--data", data, "--size", 32, "--val-resize", 32, "--batch-size", 8, "--device", "cpu", *steady]


@pytest.fixture(scope="module")
def pair(options, tmp_path_factory):
    """The folder of a run by two processes."""
    folder = tmp_path_factory.mktemp("pair") / "run"
    done = command("train", *options, "--epochs", 2, "--output-dir", folder, processes=2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 2/2") == 1  # the first process speaks for both
    return folder


def test_metrics_equal_those_of_one_process(pair, data, tmp_path):
    """Nine images in batches of four: the second process has one more than the first."""
    done = command("train.evaluate", pair, "--data", data, "--output", tmp_path / "two", processes=2)
    assert done.returncode == 0, done.stderr
    together = json.loads((tmp_path / "two.json").read_text())
    alone = evaluate(AccuracyOptions(pair, data=data), ALONE)
    assert alone["images"] == together["images"] == 9
    assert alone["loss"] == pytest.approx(together["loss"], abs=1e-6)
    assert (alone["top1"], alone["top5"]) == (together["top1"], together["top5"])
    last = torch.load(pair / "last.pt", weights_only=True)["history"][-1]
    assert (last["val_loss"], last["val_top1"]) == (pytest.approx(alone["loss"], abs=1e-6), alone["top1"])


def test_processes_draw_different_batches(pair):
    first, second = torch.load(pair / "last.pt", weights_only=True)["ranks"]
    assert first["loader"] != second["loader"]


SIGTERM_TO_ONE = """
import os, signal
from train import __main__
from train.tasks import classification
from train.config.classification import Config

loss, steps = classification.loss, []

def signalled(*arguments):
    steps.append(1)
    if len(steps) == 8 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGTERM)
    return loss(*arguments)

classification.loss = signalled
__main__.main()
"""


def test_stopped_by_a_signal_to_one_of_them_all_save_after_the_same_step(pair, options, tmp_path):
    """The second process gets it in step 8; the first hears of it one step later, and torchrun of both."""
    (tmp_path / "signalled.py").write_text(SIGTERM_TO_ONE)
    folder = tmp_path / "run"
    done = command(tmp_path / "signalled.py", *options, "--epochs", 2, "--output-dir", folder, processes=2)
    assert done.returncode == 1
    assert "exitcode  : 143" in done.stderr  # of the first to end; torchrun may end the other on its way out
    assert done.stderr.count("stopped by SIGTERM after step 9; continue with: ") == 1
    assert Checkpoint.load(folder).step == 9

    done = command("train", "--resume", folder, processes=2)
    assert done.returncode == 0, done.stderr
    assert_same_result(folder / "last.pt", pair / "last.pt")
    tally.count("resumes")


def test_alone_without_torchrun():
    with join_process_group("cpu") as mine:
        assert mine.shard == (0, 1)
        assert mine.is_first
        assert mine.gather("x") == ["x"]
        assert mine.sum(torch.ones(2)).tolist() == [1, 1]


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cpu:0", "mps", "cuda:-1", ""])
def test_unknown_devices_are_refused(device):
    with pytest.raises(ValueError, match=f"--device '{device}' given; allowed are cpu, cuda, cuda:N and auto"):
        resolve_device(device, 0, 1)


@pytest.mark.parametrize(
    ("gpus", "device", "local_rank", "world_size", "expected"),
    [
        (0, "auto", 0, 1, "cpu"),
        (0, "cpu", 1, 2, "cpu"),
        (2, "cpu", 0, 1, "cpu"),
        (2, "auto", 1, 2, "cuda:1"),
        (2, "cuda", 1, 2, "cuda:1"),
        (2, "cuda:1", 0, 1, "cuda:1"),
    ],
)
def test_devices(monkeypatch, gpus, device, local_rank, world_size, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert resolve_device(device, local_rank, world_size) == torch.device(expected)


@pytest.mark.parametrize(
    ("gpus", "device", "local_rank", "world_size", "message"),
    [
        (0, "cuda:0", 0, 1, "--device cuda:0 needs GPU 0, but PyTorch sees 0 GPUs; .* for example --device cpu"),
        (1, "cuda:3", 0, 1, "--device cuda:3 needs GPU 3, but PyTorch sees 1 GPU;"),
        (1, "auto", 1, 2, "--device auto needs GPU 1, but PyTorch sees 1 GPU;"),
        (4, "cuda:1", 0, 2, "--device cuda:1 given with 2 processes; .* give --device cuda"),
    ],
)
def test_devices_that_are_not_there(monkeypatch, gpus, device, local_rank, world_size, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(ValueError, match=message):
        resolve_device(device, local_rank, world_size)

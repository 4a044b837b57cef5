"""Checkpoints with odd content: each is refused in one line that names the file, before anything changes."""

import copy
import os
import pickle
import random
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch

from tests.helpers import ROOT, tally
from tests.helpers.mutations import mutated
from tests.helpers.training import ALONE, make_folder, quick, same
from train import __main__ as command
from train import evaluate
from train.engine import Checkpoint
from train.evaluation.accuracy import AccuracyOptions
from train.evaluation.trained_model import open_trained
from train.launch import start
from train.models import classifiers
from train.recipes import config_of
from train.study.step import is_finished
from train.tasks.initial_weights import load_all_but_last_layer

SAVED = ROOT / "tests" / "helpers" / "saved" / "last.pt"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture
def run(data, tmp_path, monkeypatch):
    """A run that ``SAVED`` continues, whose model has 2 channels in place of 16."""
    monkeypatch.setitem(classifiers.OWN, "resnet10", partial(classifiers.ResNet10, width=2))
    return start(quick(data, tmp_path / "run", ema=0.9), ALONE)


def everything(run):
    """All that a checkpoint restores."""
    parts = {"model": run.model, "ema": run.ema.model, "optimizer": run.optimizer}
    states = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
    place = (run.step, repr(run.history), run.loss_sum.clone(), torch.get_rng_state(), run.loader.state_dict())
    return {**states, "place": place}


READERS = [
    lambda path: config_of(Checkpoint.load(path).config, path),
    lambda path: open_trained(AccuracyOptions(path, device="cpu"), ALONE),
    lambda path: load_all_but_last_layer(classifiers.build("resnet10", 3), path),
    is_finished,
]
"""Everything else that reads a checkpoint; none of these trains."""


def assert_read_or_refused(reader, path, what):
    """Whether it was read; else the error is a line with the path."""
    try:
        reader(path)
    except ValueError as error:
        told = str(error)
        if str(path) not in told or "\n" in told or len(told) > 1000:
            raise AssertionError(what) from error
        return False
    return True


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_each_is_read_or_refused_before_anything_changes(run, tmp_path, seed):
    rng, content, path = random.Random(seed), torch.load(SAVED, weights_only=True), tmp_path / "odd.pt"
    for _ in range(300 if seed else 50):
        # Parts are chosen alike, though most of what is inside are the names of tensors.
        name = rng.choice([*content, "ranks", "config"])
        what, part = mutated(rng, {name: content[name]})
        torch.save({key: value for key, value in content.items() if key != name} | part, path)
        before = everything(run)
        if assert_read_or_refused(run.restore, path, what):
            assert run.step == 8, what
        else:
            assert same(everything(run), before), what
        assert_read_or_refused(rng.choice(READERS), path, what)
        tally.count("states")
    run.restore(SAVED)
    assert run.step == 8


WRONG = {
    "config is a list": ({"config": [1]}, r"its config is not options by name, but a list"),
    "no recipe": ({"config": {"lr": 0.1}}, r"the checkpoint's recipe None is unknown; this version has digits, "),
    "odd recipe": ({"config": {"recipe": ["digits"]}}, r"the checkpoint's recipe \['digits'\] is unknown"),
    "classes": ({"classes": ["a", 3]}, r"its classes is not a list of names, but a list"),
    "step": ({"step": -1}, r"its step is not a whole number of at least 0, but -1"),
    "ranks": ({"ranks": {}}, r"its ranks is not a list of a dict for each process, but a dict"),
    "no ranks": ({"ranks": []}, r"cannot be continued with other settings \(number of processes: 0 saved, 1 given\)"),
    "history": (
        {"history": [{"val_top1": 1.0}]},
        r"its history is not a list of rows, each with numbers by name and its",
    ),
    "history without rows": ({"history": [{"epoch": 9}]}, r"its history has the epochs \[9\], but it is at step 8"),
    "column": ({"history": [{"epoch": 1, "x": 2.0}]}, r"its history has a column 'x'"),
    "model": ({"model": {"fc.bias": [1.0]}}, r"its model is not tensors by name, but a dict"),
    "epoch": ({"epoch": 2}, r"step 8 in epoch 2, but its loader delivered 8 batches"),
    "other step": ({"step": 9}, r"step 9 in epoch 1, but its loader delivered 8 batches"),
    "no ema": ({"ema": None}, r"does not fit the model 'resnet10': it has no "),
    "optimizer": ({"optimizer": {}}, r"the optimizer's param_groups are not a list of 1 dicts"),
    "version": ({"version": True}, r"a checkpoint of version True, but this trainer reads version 1"),
}
RANK = {
    "no loader": ({"loader": None}, r"cannot be continued: it has no state of the loader"),
    "loader": (
        {"loader": {"version": 2}},
        r"cannot be continued: load_state_dict: this is not a state of a dali_cutmix",
    ),
    "loss": ({"loss_sum": torch.zeros(2)}, r"its loss_sum is not a number of 64 bits"),
    "rng": ({"rng": {"cpu": torch.zeros(9, dtype=torch.uint8)}}, r"its state of the random numbers \(cpu\) is damaged"),
    "no rng": ({"rng": {}}, r"it has no state of the random numbers"),
}
OPTIONS = {
    "text": ({"lr": "high"}, r"the checkpoint's options are damaged: --lr 'high' is saved; allowed is float"),
    "none": ({"batch_size": None}, r"--batch-size None is saved; allowed is int"),
    "tuple": ({"mean": (1.0, 2.0)}, r"--mean \(1\.0, 2\.0\) is saved; allowed is tuple\[float, float, float\]"),
    "word": ({"schedule": "stairs"}, r"--schedule 'stairs' is saved; allowed is Literal\['step', 'cosine'\]"),
    "path": ({"data": 3}, r"--data 3 is saved; allowed is Path \| None"),
    "bool": ({"epochs": True}, r"--epochs True is saved; allowed is int"),
    "range": ({"lr": -1.0}, r"the checkpoint's options are damaged: --lr -1 given; it must be above 0"),
    "not a number": ({"momentum": float("nan")}, r"--momentum nan is saved; allowed is float"),
    "threads": ({"cpu_threads": 10**9}, r"--cpu-threads 1e\+09 given; it must be above 0 and at most 4096"),
}


@pytest.mark.parametrize("name", [*WRONG, *RANK, *OPTIONS])
def test_what_is_wrong_is_told(run, tmp_path, monkeypatch, capsys, name):
    content, path = torch.load(SAVED, weights_only=True), tmp_path / "odd.pt"
    if name in WRONG:
        changes, told = WRONG[name]
    elif name in RANK:
        changes, told = {"ranks": [{**content["ranks"][0], **RANK[name][0]}]}, RANK[name][1]
    else:
        changes, told = {"config": {**content["config"], **OPTIONS[name][0]}}, OPTIONS[name][1]
    torch.save(content | changes, path)
    before = everything(run)
    resume = ["train", "--resume", str(path), "--data", str(run.config.data)]
    monkeypatch.setattr(sys, "argv", [*resume, "--output-dir", str(tmp_path / "new")])
    with pytest.raises(SystemExit, match=f"^error: .*odd.pt.*{told}"):
        command.main()
    assert not (tmp_path / "new").exists()
    assert same(everything(run), before)
    if name in OPTIONS or "recipe" in name:
        monkeypatch.setattr(sys, "argv", ["evaluate", str(path)])
        with pytest.raises(SystemExit, match=f"^error: .*odd.pt.*{told}"):
            evaluate.main()
        with pytest.raises(ValueError, match=f"odd.pt.*{told}"):
            is_finished(path)
    tally.count("bad")


@pytest.mark.parametrize(
    ("make", "what"),
    [(os.mkfifo, r"a FIFO \(named pipe\)"), (lambda path: path.symlink_to("/dev/zero"), "a device")],
    ids=["fifo", "device"],
)
def test_only_regular_files_are_opened(tmp_path, make, what):
    make(tmp_path / "last.pt")
    for given in (tmp_path, tmp_path / "last.pt"):
        with pytest.raises(OSError, match=rf"{what}, not a regular file: '.*last\.pt'"):
            Checkpoint.load(given)
        with pytest.raises(OSError, match=rf"{what}, not a regular file: '.*last\.pt'"):
            load_all_but_last_layer(classifiers.build("resnet10", 3), given)


@pytest.mark.parametrize(
    "content", [[1], {"model": 3}, {"state_dict": {1: torch.ones(1)}}, {"model": {"x": "y"}}], ids=repr
)
def test_a_file_without_weights_is_refused_as_initial_weights(tmp_path, content):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"x\.pt: no named tensors in it; give a checkpoint, or a state_dict saved by"):
        load_all_but_last_layer(classifiers.build("resnet10", 3), tmp_path / "x.pt")


def test_a_pickle_is_refused_without_a_warning_of_pytorch(tmp_path, recwarn):
    (tmp_path / "odd.pt").write_bytes(pickle.dumps({"version": 1}, protocol=4))
    with pytest.raises(ValueError, match="not a checkpoint, or a damaged one"):
        Checkpoint.load(tmp_path / "odd.pt")
    assert not recwarn.list


def test_a_good_one_is_restored_after_one_that_was_refused_late(run, data, tmp_path):
    """It ends before its checkpoint: told after all else was checked."""
    fresh = everything(run)
    run.config = replace(run.config, epochs=1)
    with pytest.raises(ValueError, match="is at step 8 within an epoch, but --epochs 1 ends the run after 6 steps"):
        run.restore(SAVED)
    assert same(everything(run), fresh)

"""States and checkpoints that an older version wrote: they load, and what follows is what followed then."""

import itertools
import json
from dataclasses import replace
from functools import partial

import pytest
import torch

from tests.helpers import ROOT
from tests.helpers.edited_states import as_version_2
from tests.helpers.loaders import endless
from tests.helpers.saved_loaders import BATCHES, loaders
from tests.helpers.training import ALONE, make_folder, quick
from train.engine import Checkpoint, fit
from train.evaluation.accuracy import AccuracyOptions, evaluate
from train.launch import start
from train.models import classifiers

SAVED = ROOT / "tests" / "helpers" / "saved"
STATES = json.loads((SAVED / "states.json").read_text())
"""``state_dict()`` of each loader after ``BATCHES`` batches, as commit 49f3c66 wrote it."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield loaders(tmp_path_factory.mktemp("data"))


def take(loader, count):
    return [[tensor.clone() for tensor in batch] for batch in itertools.islice(endless(loader), count)]


@pytest.mark.parametrize("name", STATES)
def test_a_loader_goes_on_from_an_older_state_to_the_bit(made, name):
    whole = take(made[name](), BATCHES + 4)
    resumed = made[name]()
    resumed.load_state_dict(STATES[name])
    rest = take(resumed, 4)
    for batch, expected in zip(rest, whole[BATCHES:], strict=True):
        assert all(torch.equal(one, other) for one, other in zip(batch, expected, strict=True))


def test_a_loader_saves_what_it_saved_before(made):
    """But for DALI's own checkpoint, whose bytes are not the same twice, the pass, which was the epoch then, and the
    weights of policies, which were whole numbers if they were given so."""
    for name, state in STATES.items():
        loader = made[name]()
        take(loader, BATCHES)
        now = json.loads(json.dumps(loader.state_dict()))
        passes = {"pass_number": state["epoch"], "pass_step": state["batch"]}
        mix = state["binding"]["mix"] and state["binding"]["mix"].replace("(3, 2, 1, 1)", "(3.0, 2.0, 1.0, 1.0)")
        expected = {**state, **passes, "binding": {**state["binding"], "mix": mix}}
        assert now["version"] == 3, "which has a digest"
        assert as_version_2(now, pipeline=None) == {**expected, "pipeline": None}, name


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Data of the checkpoint, whose model is a ResNet with 2 channels in place of 16: a small file."""
    monkeypatch.setitem(classifiers.OWN, "resnet10", partial(classifiers.ResNet10, width=2))
    return make_folder(tmp_path / "data")


def test_a_run_goes_on_from_an_older_checkpoint(tmp_path, data):
    """It was stopped in step 8 of 18; float sums may differ from one processor to another, so not to the bit."""
    config = quick(data, tmp_path / "resumed", ema=0.9)
    resumed = start(replace(config, resume=SAVED / "last.pt"), ALONE)
    assert resumed.step == 8
    assert fit(resumed)
    whole = start(replace(config, output_dir=tmp_path / "whole"), ALONE)
    assert fit(whole)
    ours, theirs = (Checkpoint.load(tmp_path / name) for name in ("resumed", "whole"))
    assert ours.step == theirs.step == 18
    assert ours.ranks[0]["loader"] == theirs.ranks[0]["loader"]
    assert [row["epoch"] for row in ours.history] == [1, 2, 3]
    for name, weights in theirs.model.items():
        assert torch.allclose(ours.model[name].float(), weights.float(), rtol=1e-3, atol=1e-4), name


def test_an_older_checkpoint_is_evaluated(tmp_path, data):
    found = evaluate(AccuracyOptions(SAVED / "last.pt", data=data / "val", device="cpu"), ALONE)
    assert (found["images"], found["classes"], found["epoch"], found["weights"]) == (9, 3, 1, "ema")
    assert found["loss"] < 1.0  # of three classes: log 3 is 1.1

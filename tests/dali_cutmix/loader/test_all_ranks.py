"""AllRanks: one state for all processes, each restored to its own. Several processes: tests/e2e/test_examples.py."""

import json

import pytest

import dali_cutmix as dc
from pipelines import imagenet
from tests.helpers import tally
from tests.helpers.loaders import flat, label_loader


def make(numbered_folder):
    return dc.AllRanks(label_loader(numbered_folder(12)))


def test_alone_it_is_the_loader(numbered_folder):
    loader = make(numbered_folder)
    assert len(loader) == 3
    batches = iter(loader)
    next(batches)
    saved = json.loads(json.dumps(loader.state_dict()))
    resumed = make(numbered_folder)
    resumed.load_state_dict(saved)
    rest = [labels.tolist() for (labels,) in batches]
    assert [labels.tolist() for (labels,) in resumed] == rest
    assert len(flat(rest)) == 8
    tally.count("resumes")


def test_another_number_of_processes_is_refused_with_both(numbered_folder):
    loader = make(numbered_folder)
    states = loader.state_dict()["ranks"] * 4
    with pytest.raises(ValueError, match="saved by 4 processes, here are 1; continue with as many"):
        loader.load_state_dict({"ranks": states})


@pytest.mark.parametrize("thing", [None, {}, {"ranks": 3}, []], ids=str)
def test_what_is_no_state_is_refused(numbered_folder, thing):
    with pytest.raises(ValueError, match=r"not a state of AllRanks; give what its state_dict\(\) returned"):
        make(numbered_folder).load_state_dict(thing)


def test_it_has_what_a_loader_has_and_sets_what_a_loader_sets(photo_folder):
    loader = dc.AllRanks(imagenet.train(photo_folder, batch_size=8, size=8, device="cpu"))
    names = [name for name in dir(dc.Loader) if not name.startswith("_") and name != "sampler"]
    assert {"batch_size", "dataset", "num_samples", "set_epoch", "state_dict"} <= set(names)
    for name in names:
        assert callable(getattr(loader, name)) == callable(getattr(loader.loader, name)), name
        assert callable(getattr(loader, name)) or getattr(loader, name) == getattr(loader.loader, name), name
    assert loader.mixup_enabled
    loader.mixup_enabled = False
    assert not loader.loader.mixup_enabled
    assert all((targets.max(1).values == 1).all() for _, targets in loader)


def test_a_name_that_a_loader_does_not_have_is_refused_with_its_own_name(numbered_folder):
    loader = make(numbered_folder)
    assert not hasattr(loader, "collate_fn")
    with pytest.raises(
        AttributeError, match="'AllRanks' object has no attribute 'mixup_enable', and neither has its L"
    ):
        loader.mixup_enable  # noqa: B018
    with pytest.raises(AttributeError, match="'AllRanks' object has no attribute 'mixup_enable' to set, and neither"):
        loader.mixup_enable = False
    with pytest.raises(AttributeError, match="'num_samples' of 'Loader' object has no setter"):
        loader.num_samples = 3


def test_a_damaged_state_of_another_rank_is_refused_on_every_rank(numbered_folder, monkeypatch):
    """Else the others would go on, and wait for that one for ever."""
    loader = make(numbered_folder)
    mine = loader.state_dict()["ranks"][0]
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_rank", lambda: 0)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)
    for other in (None, {**mine, "batch": 1}, {**mine, "version": 9}):
        with pytest.raises(ValueError, match=r"load_state_dict: .*\. It is that of rank 1\."):
            loader.load_state_dict({"ranks": [mine, other]})
    loader.load_state_dict({"ranks": [mine, mine]})

"""Several mixes in one graph are switched together or by name; the state has each of them."""

import json
import re

import numpy as np
import pytest
import torch
from nvidia.dali import pipeline_def

import dali_cutmix as dc
from tests.helpers.edited_states import as_version_2
from tests.helpers.loaders import bits

OFF = {"weak": False, "strong": False}
ON = {"weak": True, "strong": True}
WEAK, STRONG = {"weak": True, "strong": False}, {"weak": False, "strong": True}


def two_mixes(root, weak=dc.Mixup(), strong=dc.CutMix(), size=8, second=8):
    @pipeline_def(batch_size=6, num_threads=1, device_id=None, seed=3)
    def graph():
        jpegs, labels = dc.read_folder(root)
        a, b = dc.random_resized_crop(jpegs, size), dc.random_resized_crop(jpegs, second)
        a, a_targets = dc.mix(a, labels, weak, name="weak")
        b, b_targets = dc.mix(b, labels, strong, name="strong")
        return dc.normalize(a), a_targets, dc.normalize(b), b_targets

    return dc.Loader(graph())


def mixed(batch):
    """Whether each of two views is mixed, by its targets."""
    return {name: bool((targets.max(1).values < 1).any()) for name, targets in zip(ON, batch[1::2], strict=True)}


def first(loader):
    return next(iter(loader))


def test_all_are_switched_together(photo_folder):
    loader = two_mixes(photo_folder)
    assert loader.mixup_enabled
    assert mixed(first(loader)) == ON
    loader.mixup_enabled = False
    assert not loader.mixup_enabled
    assert loader.mixes == OFF
    assert mixed(first(loader)) == OFF
    loader.mixup_enabled = True
    assert mixed(first(loader)) == loader.mixes == ON


@pytest.mark.parametrize(("name", "left"), [("weak", STRONG), ("strong", WEAK)])
def test_one_is_switched_by_its_name_and_the_other_goes_on_as_it_was(photo_folder, name, left):
    reference, loader = iter(two_mixes(photo_folder)), two_mixes(photo_folder)
    batches = iter(loader)
    assert bits(next(batches)) == bits(next(reference))
    loader.switch_mix(name, False)
    assert loader.mixes == left
    assert loader.mixup_enabled, "one is on"
    view = slice(2, 4) if name == "weak" else slice(0, 2)
    for _ in range(2):
        batch, whole = next(batches), next(reference)
        assert mixed(batch) == left
        assert bits(batch[view]) == bits(whole[view]), "the other view is what it would have been"
    loader.mixup_enabled = True
    assert loader.mixes == ON


def test_switching_changes_only_whether_it_mixes(photo_folder):
    """Switched off and on again, it continues with the very draws that it would have had."""
    reference, loader = list(two_mixes(photo_folder)), two_mixes(photo_folder)
    batches = iter(loader)
    next(batches)
    loader.switch_mix("strong", False)
    next(batches)
    loader.switch_mix("strong", True)
    assert [bits(batch) for batch in batches] == [bits(batch) for batch in reference[2:]]


def test_setting_what_is_set_already_disturbs_nothing(photo_folder):
    loader = two_mixes(photo_folder)
    position, pipe = iter(loader), loader._producer._runner.pipe
    next(position)
    loader.mixup_enabled = True
    loader.switch_mix("weak", True)
    assert loader._producer._runner.pipe is pipe, "no pipeline was built anew"


def test_what_loader_mixes_gives_is_a_copy(photo_folder):
    loader = two_mixes(photo_folder)
    loader.mixes["weak"] = False
    assert loader.mixes == ON


@pytest.mark.parametrize("enabled", [OFF, WEAK, STRONG, ON], ids=["off", "weak", "strong", "on"])
def test_a_state_has_each_of_them(photo_folder, enabled):
    loader = two_mixes(photo_folder)
    batches = iter(loader)
    next(batches)
    for name, on in enabled.items():
        loader.switch_mix(name, on)
    saved = json.loads(json.dumps(loader.state_dict()))
    assert saved["mixup_enabled"] == enabled
    resumed = two_mixes(photo_folder)
    resumed.load_state_dict(saved)
    assert resumed.mixes == enabled
    assert json.dumps(resumed.state_dict()) == json.dumps(loader.state_dict())
    assert [bits(batch) for batch in resumed] == [bits(batch) for batch in batches]


@pytest.mark.parametrize("mixes", [0, 1])
def test_with_one_mix_or_none_a_state_has_a_bool_as_before(photo_folder, mixes):
    @pipeline_def(batch_size=6, num_threads=1, device_id=None)
    def graph():
        jpegs, labels = dc.read_folder(photo_folder)
        images = dc.random_resized_crop(jpegs, 8)
        return dc.mix(images, labels) if mixes else (images, labels)

    loader = dc.Loader(graph())
    assert loader.state_dict()["mixup_enabled"] is bool(mixes)
    assert loader.mixes == ({"mix": True} if mixes else {})
    loader.mixup_enabled = False
    assert loader.state_dict()["mixup_enabled"] is False


def test_a_name_that_no_mix_has_is_refused_with_those_that_there_are(photo_folder):
    loader = two_mixes(photo_folder)
    with pytest.raises(
        ValueError, match=r"switch_mix: name='mix' given; the mixes of this graph are: 'weak', 'strong'"
    ):
        loader.switch_mix("mix", False)
    assert loader.mixes == ON


def test_a_mix_without_a_policy_cannot_be_switched_on(photo_folder):
    loader = two_mixes(photo_folder, weak=None)
    assert loader.mixes == STRONG
    with pytest.raises(
        ValueError, match="switch_mix: 'weak' given, which has no policy to switch on; build the loader"
    ):
        loader.switch_mix("weak", True)
    loader.switch_mix("weak", False)
    loader.mixup_enabled = False
    loader.mixup_enabled = True
    assert loader.mixes == STRONG, "the other one has a policy"
    assert STRONG in [mixed(batch) for batch in loader]
    none = two_mixes(photo_folder, weak=None, strong=None)
    with pytest.raises(ValueError, match="mixup_enabled=True given, but the graph has no mixing policy; build the"):
        none.mixup_enabled = True


@pytest.mark.parametrize(
    "damaged",
    [
        True,
        None,
        {"weak": True},
        {"weak": True, "strong": 1},
        {**ON, "third": True},
        {"mix": True, "mix_2": True},
        "on",
    ],
    ids=repr,
)
def test_a_damaged_value_is_refused_and_the_loader_goes_on(photo_folder, damaged):
    loader = two_mixes(photo_folder)
    batches = iter(loader)
    next(batches)
    told = r"damaged \(mixup_enabled=.* given; allowed is True or False for each of 'weak', 'strong'\).*load another"
    with pytest.raises(ValueError, match=told):
        loader.load_state_dict(as_version_2(loader.state_dict(), mixup_enabled=damaged))
    assert loader.mixes == ON
    expected = list(two_mixes(photo_folder))
    assert [bits(batch) for batch in batches] == [bits(batch) for batch in expected[1:]]


@pytest.mark.parametrize("damaged", [None, 1, "True", {"mix": True}, [True]], ids=repr)
def test_a_damaged_value_of_a_single_mix_is_refused(photo_folder, damaged):
    @pipeline_def(batch_size=6, num_threads=1, device_id=None)
    def graph():
        jpegs, labels = dc.read_folder(photo_folder)
        return dc.mix(dc.random_resized_crop(jpegs, 8), labels)

    loader = dc.Loader(graph())
    with pytest.raises(
        ValueError, match=r"the state is damaged \(mixup_enabled=.* given; allowed is True or False\) and cannot"
    ):
        loader.load_state_dict(as_version_2(loader.state_dict(), mixup_enabled=damaged))
    state = loader.state_dict()
    del state["mixup_enabled"]
    with pytest.raises(ValueError, match=r"the state is damaged \(it has no 'mixup_enabled'\)"):
        loader.load_state_dict(state)


CHANGES = {
    "first policy": ({"weak": dc.CutMix()}, r"\(mix: 'Mixup\(.*\)' saved, 'CutMix\(.*\)' here\)"),
    "second policy": ({"strong": None}, r"\(strong\.mix: 'CutMix\(.*\)' saved, 'None' here\)"),
    "first crop": ({"size": 9}, r"\(size: '8' saved, '9' here\)"),
    "second crop": ({"second": 9}, r"\(crop_2\.size: '8' saved, '9' here\)"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_state_of_another_policy_or_crop_is_refused_in_any_view(photo_folder, change):
    options, told = CHANGES[change]
    saved = two_mixes(photo_folder).state_dict()
    with pytest.raises(ValueError, match=told):
        two_mixes(photo_folder, **options).load_state_dict(saved)


def test_a_state_of_one_view_is_refused_by_a_graph_of_two_and_the_other_way_round(photo_folder):
    def views(many):
        @pipeline_def(batch_size=6, num_threads=1, device_id=None)
        def graph():
            jpegs, labels = dc.read_folder(photo_folder, shuffle=False)
            views = [dc.resize_center_crop(jpegs, 8 + number, resize=16) for number in range(many)]
            return *map(dc.normalize, views), labels

        return dc.Loader(graph())

    with pytest.raises(ValueError, match=r"crop_2\.size: None saved, '9' here"):
        views(2).load_state_dict(views(1).state_dict())
    with pytest.raises(ValueError, match=r"crop_2\.size: '9' saved, None here"):
        views(1).load_state_dict(views(2).state_dict())


def test_a_fused_view_and_a_mix_are_switched_by_name_too(photo_folder):
    if not dc.can_fuse(None, None):
        pytest.skip("dali_cutmix was built without a C++ compiler")
    finish = dc.FusedMix(dc.CutMix(), resample=dc.Resample(8), name="fused")

    @pipeline_def(batch_size=6, num_threads=1, device_id=None, seed=1)
    def graph():
        jpegs, labels = dc.read_folder(photo_folder)
        images, targets = dc.mix(dc.random_resized_crop(jpegs, 8), labels, dc.CutMix())
        return *finish.inputs(dc.random_crop(jpegs), labels), images, targets

    loader = dc.Loader(graph(), finish=finish)
    for name in ("fused", "mix"):
        loader.mixup_enabled = True
        loader.switch_mix(name, False)
        _, fused_targets, _, targets = first(loader)
        switched = {"fused": fused_targets, "mix": targets}
        assert torch.equal(switched.pop(name).max(1).values, torch.ones(6))
        assert (switched.popitem()[1].max(1).values < 1).any()


@pytest.mark.parametrize("given", ["False", "", 0, 1, None, np.int64(0), {}, torch.tensor(False)], ids=str)
def test_a_switch_takes_true_and_false_only(photo_folder, given):
    loader = two_mixes(photo_folder)
    said = rf"={re.escape(repr(given))} given; allowed are True and False\. Convert it first"
    with pytest.raises(ValueError, match=f"^mixup_enabled{said}"):
        loader.mixup_enabled = given
    with pytest.raises(ValueError, match=f"^switch_mix: enabled{said}"):
        loader.switch_mix("weak", given)
    assert loader.mixes == ON


def test_a_switch_takes_the_bools_of_numpy(photo_folder):
    loader = two_mixes(photo_folder)
    loader.mixup_enabled = np.bool_(False)
    loader.switch_mix("strong", np.bool_(True))
    assert loader.mixes == STRONG
    assert json.loads(json.dumps(loader.state_dict()))["mixup_enabled"] == STRONG

"""Two views in one graph resume bit for bit, from anywhere, for any threads, prefetch and way of decoding."""

import json
import random
import shutil

import pytest
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc
from tests.helpers import tally
from tests.helpers.loaders import bits, endless, take

NEEDS_FUSED = pytest.mark.skipif(not dc.can_fuse(None, None), reason="dali_cutmix was built without a C++ compiler")


def dali_views(root, decode=("region", "region"), loader=None, **options):
    """A clean view, and two mixed ones of another crop, by DALI's operators."""

    @pipeline_def(**{"batch_size": 5, "num_threads": 1, "device_id": None, "seed": 7} | options)
    def graph():
        jpegs, labels = dc.read_folder(root, seed=2)
        a = dc.random_resized_crop(jpegs, 24, decode=decode[0])
        b = dc.random_resized_crop(jpegs, 16, scale=(0.5, 1), decode=decode[1])
        clean = dc.normalize(fn.flip(b, horizontal=fn.random.coin_flip()), dtype="bfloat16")
        cut, *pairs = dc.mix(b, labels, dc.OneOf((dc.Cutout(), dc.Mixup(0.2))), targets="pairs")
        pasted, targets = dc.mix(a, labels, dc.CutMix(per_sample=True))
        return clean, dc.normalize(cut, channels_last=True), dc.normalize(pasted), targets, *pairs

    return dc.Loader(graph(), **(loader or {}))


def fused_views(root, decode=("region", "region"), loader=None, **options):
    """Two fused views of two crops, and a view by DALI's operators beside them."""
    a = dc.FusedMix(dc.CutMix(), resample=dc.Resample(24))
    b = dc.FusedMix(dc.Cutout(), resample=dc.Resample(16, dtype="bfloat16"), targets="pairs")

    @pipeline_def(**{"batch_size": 5, "num_threads": 1, "device_id": None, "seed": 7} | options)
    def graph():
        jpegs, labels = dc.read_folder(root, seed=2)
        first, second = (dc.random_crop(jpegs, decode=one) for one in decode)
        third, targets = dc.mix(dc.random_resized_crop(jpegs, 8), labels, dc.Mixup())
        return *a.inputs(first, labels), dc.normalize(third), *b.inputs(second, labels), targets

    return dc.Loader(graph(), finish=(a, b), **(loader or {}))


MAKERS = {"dali": dali_views, "fused": pytest.param(fused_views, marks=NEEDS_FUSED)}
both = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def reference(make, root, switches, count=14, **options):
    """Batches and states; ``switches`` has the mixes to switch after a batch, by its number."""
    loader = make(root, **options)
    running, batches, states = endless(loader), [], []
    for number in range(count):
        for name, on in switches.get(number, {}).items():
            loader.switch_mix(name, on)
        states.append(json.dumps(loader.state_dict()))
        batches.append(bits(next(running)))
    return batches, states


SWITCHES = {2: {"mix_2": False}, 3: {"mix": False}, 5: {"mix": True}, 9: {"mix_2": True, "mix": False}}


@both
@pytest.mark.parametrize("switches", [{}, SWITCHES], ids=["never switched", "switched"])
def test_they_resume_bit_for_bit_from_anywhere_for_any_threads_and_prefetch(photo_folder, make, switches):
    """24 samples, four batches an epoch: the positions are in four epochs."""
    batches, states = reference(make, photo_folder, switches)
    assert len(set(batches)) == len(batches)
    rng = random.Random(0)
    for at in rng.sample(range(10), 4):
        options = {"num_threads": rng.choice([1, 2, 3]), "prefetch_queue_depth": rng.choice([1, 2, 4])}
        resumed = make(photo_folder, **options)
        take(resumed, rng.randrange(3))
        resumed.load_state_dict(json.loads(states[at]))
        running = endless(resumed)
        for number in range(at, at + 4):
            for name, on in switches.get(number, {}).items():
                resumed.switch_mix(name, on)
            assert json.dumps(resumed.state_dict()) == states[number], f"state {number}"
            assert bits(next(running)) == batches[number], f"batch {number}, resumed at {at}"
        tally.count("resumes")


@both
@pytest.mark.parametrize("decode", [("whole", "region"), ("region", "whole"), ("whole", "whole")], ids="-".join)
def test_a_state_goes_from_one_way_of_decoding_to_another_in_each_view(photo_folder, make, decode):
    """DALI names operators by kind and number; a state has the same names for either way."""
    for saving, loading in ((("region", "region"), decode), (decode, ("region", "region"))):
        loader = make(photo_folder, decode=saving)
        take(loader, 3)
        resumed = make(photo_folder, decode=loading)
        resumed.load_state_dict(json.loads(json.dumps(loader.state_dict())))
        assert take(resumed, 3) == take(loader, 3)
        tally.count("resumes")


@both
def test_a_bad_file_is_replaced_in_both_views(photo_folder, make, tmp_path):
    """One bad file, read once for two crops: the log has it once, and the epoch is that of a folder without it."""
    root, log = tmp_path / "photos", tmp_path / "bad.jsonl"
    shutil.copytree(photo_folder, root)
    bad = sorted(root.glob("*/*.jpg"))[3]
    bad.write_bytes(b"no image")
    options = {"on_error": "replace", "max_bad": 0.05, "bad_log": log}
    loader = make(root, loader=options)
    batches = take(loader, 9)
    [line] = log.read_text().splitlines()
    assert json.loads(line)["path"] == str(bad)
    shutil.copy(sorted(root.glob("*/*.jpg"))[4], bad)  # what is read in its place
    assert take(make(root), 9) == batches
    tally.count("bad")


def test_crops_of_the_same_images_are_drawn_apart(photo_folder):
    """Two crops with the same arguments are two views, not one twice."""

    @pipeline_def(batch_size=4, num_threads=1, device_id=None, seed=1)
    def graph():
        jpegs, _ = dc.read_folder(photo_folder)
        return dc.random_resized_crop(jpegs, 16), dc.random_resized_crop(jpegs, 16)

    for one, other in dc.Loader(graph()):
        assert not any((a == b).all() for a, b in zip(one, other, strict=True))

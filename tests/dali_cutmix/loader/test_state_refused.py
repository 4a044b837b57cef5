"""A state of another loader, rank, data set or version is refused, and the message names both values."""

import base64
import re
import warnings
from functools import reduce

import numpy as np
import pytest
from nvidia.dali import fn, pipeline_def
from PIL import Image

import dali_cutmix as dc
from dali_cutmix._dali import moved
from dali_cutmix.loader import state_form
from pipelines import imagenet
from tests.helpers import tally
from tests.helpers.edited_states import as_version_2
from tests.helpers.images import save
from tests.helpers.loaders import batches_of, label_loader, own_reader_loader, take

MISMATCHES = {
    "batch_size": ({"batch_size": 6}, "batch_size: 7 saved, 6 here"),
    "world": ({"shard": (0, 2)}, "world_size: 1 saved, 2 here"),
    "seed": ({"seed": 5}, "shuffle_seed: 0 saved, 5 here"),
    "flip": ({"flip": 0.25}, r"flip: 0.5 saved, 0.25 here"),
    "targets": ({"targets": "pairs"}, r"targets: 'dense' saved, 'pairs' here"),
    "scale": ({"scale": (0.5, 1)}, r"scale: '\(0\.08, 1\.0\)' saved, '\(0\.5, 1\.0\)' here"),
    "ratio": ({"ratio": (1, 1)}, r"ratio: .* saved, '\(1\.0, 1\.0\)' here"),
    "size": ({"size": 9}, r"[( ]size: '8' saved, '9' here"),
    "mix": ({"mix": None}, r"mix: 'CutMix\(alpha=1.0, .*\)' saved, 'None' here"),
    "alpha": (
        {"mix": dc.CutMix(0.5)},
        r"mix: 'CutMix\(alpha=1.0, .*\)' saved, 'CutMix\(alpha=0.5, .*\)' here",
    ),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_a_state_of_another_loader_is_refused_with_both_values_named(photo_folder, name):
    change, message = MISMATCHES[name]
    options = {"batch_size": 7, "size": 8, "device": "cpu"}
    saved = imagenet.train(photo_folder, **options).state_dict()
    with pytest.raises(ValueError, match=rf"another loader and cannot be continued exactly .*{message}.*Build the"):
        imagenet.train(photo_folder, **(options | change)).load_state_dict(saved)


def test_the_state_of_another_rank_is_refused(photo_folder):
    def make(rank):
        return imagenet.train(photo_folder, batch_size=4, size=8, device="cpu", shard=(rank, 2))

    with pytest.raises(ValueError, match="rank: 0 saved, 1 here"):
        make(1).load_state_dict(make(0).state_dict())


def test_the_state_of_other_files_is_refused(numbered_folder, tmp_path):
    for i in range(10):
        save(Image.new("L", (8, 8)), tmp_path / f"{i:04d}" / "b.jpg")
    saved = label_loader(numbered_folder(10)).state_dict()
    with pytest.raises(ValueError, match=r"\(files: '[0-9a-f]+' saved, '[0-9a-f]+' here\)"):
        label_loader(tmp_path).load_state_dict(saved)
    with pytest.raises(ValueError, match=r"\(\w+: 10 saved, 12 here; files: "):
        label_loader(numbered_folder(12)).load_state_dict(saved)


def test_a_state_of_evaluation_is_refused_by_training(numbered_folder):
    saved = label_loader(numbered_folder(10), shuffle=False).state_dict()
    with pytest.raises(ValueError, match="drop_last: False saved, True here"):
        label_loader(numbered_folder(10)).load_state_dict(saved)


def test_a_state_of_a_graph_with_other_operators_is_refused_and_the_loader_goes_on(photo_folder):
    def make(invert):
        @pipeline_def(batch_size=7, num_threads=1, device_id=None, seed=1)
        def graph():
            jpegs, labels = dc.read_folder(photo_folder)
            images = dc.random_resized_crop(jpegs, 8)
            return dc.normalize(255 - images if invert else images), labels

        return dc.Loader(graph())

    expected, loader = take(make(False), 4), make(False)
    assert take(loader, 2) == expected[:2]
    with pytest.raises(ValueError, match=r"load_state_dict: .*graph with other operators.*DALI says"):
        loader.load_state_dict(make(True).state_dict())
    assert take(loader, 2) == expected[2:]


def test_another_decoder_is_told_with_both_values_and_the_batches_go_on(photo_folder):
    """Pixels depend on the GPU, its nvJPEG and the share of its JPEG engine; order, crops and mixing do not."""

    def make():
        return imagenet.train(photo_folder, batch_size=7, size=8, device="cpu")

    reference = make()
    take(reference, 2)
    decoder = {"gpu": "NVIDIA H100", "nvjpeg": "12.4.0", "hw_decoder_load": 0.65}
    saved = as_version_2(reference.state_dict(), decoder=decoder)
    resumed = make()
    message = r"another decoder .*\(gpu: 'NVIDIA H100' saved, None here; nvjpeg: '12\.4\.0' saved, None here; hw_dec"
    with pytest.warns(UserWarning, match=message):
        resumed.load_state_dict(saved)
    assert take(resumed, 2) == take(reference, 2)


@pytest.mark.parametrize("says", [True, False], ids=["same decoder", "state without one"])
def test_the_same_decoder_gives_no_warning(photo_folder, says):
    loader = imagenet.train(photo_folder, batch_size=7, size=8, device="cpu")
    saved = as_version_2(loader.state_dict())
    if not says:
        del saved["decoder"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader.load_state_dict(saved)


@pytest.mark.parametrize("version", [state_form.VERSION + 1, 1, 2.0, True, "3", None])
def test_a_state_of_another_version_is_refused_with_both_named(numbered_folder, version):
    loader = label_loader(numbered_folder(10))
    other = loader.state_dict() | {"version": version}
    with pytest.raises(
        ValueError,
        match=rf"version {version!r}, this dali_cutmix reads version 2 and 3; use the version",
    ):
        loader.load_state_dict(other)


@pytest.mark.parametrize("thing", [{}, None, {"epoch": 3}, "state"], ids=str)
def test_what_is_no_state_is_refused(numbered_folder, thing):
    with pytest.raises(ValueError, match=r"not a state of a dali_cutmix Loader; give what state_dict\(\) returned"):
        label_loader(numbered_folder(10)).load_state_dict(thing)


def damaged(saved):
    """Each way to take a value out of a state, or to put one of a wrong type or out of range in its place."""
    optional = {"decoder", "pass_number", "pass_step"} if saved["version"] == 2 else set()
    for name in sorted(saved.keys() - {"version", "binding"} - optional):
        yield f"it has no '{name}'", {key: value for key, value in saved.items() if key != name}
    numbers = [None, "3", 1.5, True, -1, [1], 2**62, float("nan")]
    wrong = {
        "binding": [None, "rank", ["rank"], {1: 2}, {"rank": [0]}],
        "pipeline": [None, 3, b"CgA=", ["CgA="], "CgA", "CgA=\n", "C*A=", "é", "CgB="],
        "epoch": numbers,
        "batch": numbers,
        "pass_number": numbers,
        "pass_step": numbers,
        "decoder": [None, "nvjpeg", 3],
        "bad": [None, 3, "3", ["3"], [True], [-1], {"3": 4}, [2, 1], [1, 1]],
        "digest": [None, 3],
    }
    assert {*wrong} | {"mixup_enabled"} >= saved.keys() - {"version"}, "every value of a state"
    for name in saved.keys() & wrong.keys():
        for value in wrong[name]:
            yield f"{name}={value!r} given; allowed is ", saved | {name: value}
    yield "'flips' is no part of a state", saved | {"flips": 1}


def nested(depth):
    """Lists in lists, deeper than Python's ``repr`` goes."""
    return reduce(lambda inner, _: [inner], range(depth), [])


def out_of_range(saved):
    """Values that fit their types, and not this loader; a state of version 3 with them has another digest."""
    for value, shown in ((1, "1"), (nested(10**5), "a list"), (10**5000, "a int")):
        yield f"mixup_enabled={shown} given; allowed is True or False", saved | {"mixup_enabled": value}
    yield "batch=7 given; an epoch has 6 batches", saved | {"batch": 7}
    yield "pass_step=2 given; there are 1 batches before its place", saved | {"pass_step": 2}
    yield "bad=[24, 99] given; allowed are numbers below 24, the samples", saved | {"bad": [0, 24, 99]}
    yield "bad=[0, 1, 2, 3", saved | {"bad": [*range(24)]}
    unreadable = "its pipeline's checkpoint cannot be read: the state of operator 'reader' is none that it can have"
    yield unreadable, saved | {"epoch": 1, "pass_step": 7}
    yield unreadable, saved | {"batch": 2}


@pytest.mark.parametrize("version", [2, 3])
def test_a_damaged_state_is_refused_by_name_and_the_loader_goes_on(numbered_folder, version):
    root = numbered_folder(24)
    expected, loader = take(label_loader(root), 3), label_loader(root)
    assert take(loader, 1) == expected[:1]
    saved = loader.state_dict() if version == 3 else as_version_2(loader.state_dict())
    changed = "its digest is that of other values: it was changed after it was saved"
    ranges = [(message if version == 2 else changed, wrong) for message, wrong in out_of_range(saved)]
    for message, wrong in [*damaged(saved), *ranges]:
        with pytest.raises(ValueError, match=re.escape(f"load_state_dict: the state is damaged ({message}")) as error:
            loader.load_state_dict(wrong)
        assert str(error.value).endswith("and cannot be continued exactly; load another one.")
        tally.count("bad")
    assert take(loader, 2) == expected[1:]


def test_a_long_wrong_value_is_shortened_in_the_message(numbered_folder):
    loader = label_loader(numbered_folder(24))
    with pytest.raises(ValueError, match=r"epoch='x{79}… given; allowed is a whole number from 0 to 2") as error:
        loader.load_state_dict(loader.state_dict() | {"epoch": "x" * 9999})
    assert len(str(error.value)) < 300


def test_a_reader_of_ones_own_and_a_source_in_python_are_checked_too(numbered_folder):
    root = numbered_folder(24)
    own, fed = own_reader_loader(root), fed_loader()
    for loader in (own, fed):
        batches_of(loader, 2)
    with pytest.raises(ValueError, match=r"damaged \(bad=\[3\] given; allowed are numbers below 0, the samples"):
        own.load_state_dict(as_version_2(own.state_dict(), bad=[3]))
    with pytest.raises(ValueError, match=r"damaged \(its pipeline.*: the number of batches so far is none that it can"):
        fed.load_state_dict(as_version_2(fed.state_dict(), batch=1, pass_step=1))
    saved = own.state_dict()
    endless = moved(base64.b64decode(saved["pipeline"]), "File#0", 0, 10**9)  # DALI would read on until it is there
    with pytest.raises(
        ValueError, match=r"damaged \(its pipeline.*: the state of operator '__File_\d' is none that it"
    ):
        own.load_state_dict(as_version_2(saved, pipeline=base64.b64encode(endless).decode()))
    assert len(list(own)) == 6


def fed_loader():
    @pipeline_def(batch_size=4, num_threads=1, device_id=None)
    def graph():
        return fn.external_source(lambda info: np.array(info.idx_in_epoch), batch=False)

    return dc.Loader(graph(), epoch_size=24, drop_last=True)


OTHERS = {
    "torch": {"_snapshot": {"_snapshot_step": 0}, "_steps_since_snapshot": 0, "_iterator_finished": False},
    "all ranks": {"ranks": [{"version": 3}]},
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_state_of_another_class_is_refused(numbered_folder, name):
    with pytest.raises(ValueError, match=r"not a state of a dali_cutmix Loader; give what state_dict\(\) returned"):
        label_loader(numbered_folder(10)).load_state_dict(OTHERS[name])

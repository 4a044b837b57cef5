"""imagenet.train(augment=…): a function from images to images between the crop and the mix."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from nvidia.dali import fn, types
from nvidia.dali.auto_aug import rand_augment

import dali_cutmix as dc
from pipelines import imagenet
from tests.helpers.bad_files import BAD
from tests.helpers.images import write_photos
from tests.helpers.loaders import take

PLAIN = {"batch_size": 4, "size": 24, "device": "cpu", "num_threads": 1, "mean": (0.0,) * 3, "std": (1.0,) * 3}


def inverted(images):
    return fn.cast_like(255 - images, images)


def sometimes_inverted(images):
    if fn.random.coin_flip(dtype=types.BOOL):
        images = fn.cast_like(255 - images, images)
    return images


def jittered(images, strength=0.3):
    return fn.color_twist(images, brightness=fn.random.uniform(range=[1 - strength, 1 + strength]))


RAND_AUGMENT = partial(rand_augment.rand_augment, n=2, m=9)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"))


def train(root, augment, **options):
    return imagenet.train(root, augment=augment, **(PLAIN | options))


def test_it_changes_the_images_before_they_are_mixed_and_nothing_else(photos):
    plain, changed = (next(iter(train(photos, augment, fused=False))) for augment in (None, inverted))
    assert torch.equal(changed[0], 255 - plain[0])
    assert torch.equal(changed[1], plain[1])


def test_an_if_about_each_image_may_be_in_it(photos):
    plain, changed = (
        next(iter(train(photos, augment, fused=False, mix=None, flip=0.0, batch_size=12)))[0]
        for augment in (None, sometimes_inverted)
    )
    same = [torch.equal(a, b) for a, b in zip(plain, changed, strict=True)]
    assert 0 < sum(same) < len(same)
    assert all(equal or torch.equal(255 - a, b) for equal, a, b in zip(same, plain, changed, strict=True))


@pytest.mark.parametrize("augment", [RAND_AUGMENT, sometimes_inverted, jittered], ids=["rand", "if", "jitter"])
def test_a_resumed_run_has_the_same_batches_for_any_number_of_threads(photos, augment):
    loader = train(photos, augment)
    take(loader, 2)
    state = json.loads(json.dumps(loader.state_dict()))
    expected = take(loader, 6)
    other = train(photos, augment, num_threads=2, prefetch=3)
    other.load_state_dict(state)
    assert take(other, 6) == expected


def test_bad_files_are_replaced_in_a_graph_with_it(tmp_path):
    root = write_photos(tmp_path / "photos")
    bad = sorted(root.rglob("*.jpg"))[5]
    BAD["text"](bad)
    log = tmp_path / "bad.jsonl"
    loader = train(root, RAND_AUGMENT, on_error="replace", max_bad=0.1, bad_log=log)
    assert len(take(loader, 12)) == 12
    assert [json.loads(line)["path"] for line in log.read_text().splitlines()] == [str(bad)]


@pytest.mark.parametrize(
    ("saved", "here"),
    [(RAND_AUGMENT, partial(rand_augment.rand_augment, n=2, m=5)), (partial(jittered, strength=0.1), jittered)],
    ids=["another magnitude", "a partial"],
)
def test_a_state_belongs_to_its_function_and_the_values_of_a_partial(photos, saved, here):
    state = train(photos, saved).state_dict()
    with pytest.raises(ValueError, match=r"augment: .*saved, .* here"):
        train(photos, here).load_state_dict(state)


def test_a_partial_with_an_array_is_bound_to_its_name(photos):
    loader = train(photos, partial(jittered, strength=np.float32(0.2)))
    assert loader.state_dict()["binding"]["augment"] == "'jittered()'"


def test_a_state_without_augmentation_has_no_word_of_it(photos):
    assert "augment" not in train(photos, None).state_dict()["binding"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"augment": "rand"}, "augment='rand' given; allowed is a function from images to images"),
        ({"augment": inverted, "fused": True}, "fused=True given with augment; .*Allowed are None and False"),
    ],
)
def test_what_is_refused_before_anything_is_read(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        imagenet.train(tmp_path / "no such folder", **options)


@pytest.mark.parametrize("found", [None, 3, "images"], ids=repr)
def test_what_is_no_node_is_refused(photos, found):
    with pytest.raises(ValueError, match=f"augment returned {found!r}; allowed is one node of H×W×3 uint8 images"):
        train(photos, partial(lambda found, images: found, found))


@pytest.mark.parametrize(
    "augment",
    [
        partial(fn.resize, size=[12, 12]),
        partial(fn.crop, crop=(24, 12)),
        partial(fn.resize, size=[12, 48]),
        partial(fn.transpose, perm=[2, 0, 1]),
        partial(fn.color_space_conversion, image_type=types.RGB, output_type=types.GRAY),
    ],
    ids=["another size", "another shape", "as many pixels", "channels first", "gray"],
)
def test_another_shape_is_an_error_in_the_first_batch_that_says_so(photos, augment):
    with pytest.raises(RuntimeError, match=r"fn\.reshape failed .*augment must return images of .* no file was"):
        next(iter(train(photos, augment)))


@pytest.mark.parametrize("mix", [None, dc.CutMix()], ids=["unmixed", "mixed"])
@pytest.mark.parametrize("dtype", [types.FLOAT, types.INT8, types.BOOL], ids=["float32", "int8", "bool"])
def test_another_type_is_an_error_in_the_first_batch_that_says_so(photos, mix, dtype):
    with pytest.raises(RuntimeError, match=r"images of (float32|int8|bool) given; expected uint8"):
        next(iter(train(photos, partial(fn.cast, dtype=dtype), mix=mix)))

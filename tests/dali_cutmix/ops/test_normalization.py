"""Normalize: levels to floats, channels first or last, and holes that are exactly 0."""

import numpy as np
import pytest
import torch
from nvidia.dali import fn, pipeline_def, types

import dali_cutmix as dc
from dali_cutmix.ops.normalization import as_dtype


@pytest.fixture
def levels():
    return np.random.default_rng(0).integers(0, 256, (3, 6, 9, 3), np.uint8)


def normalized(images, **options):
    @pipeline_def(batch_size=len(images), num_threads=1, device_id=None)
    def graph():
        pixels = fn.external_source(source=lambda: list(images), layout="HWC", dtype=types.UINT8, ndim=3)
        return dc.normalize(pixels, **options)

    pipe = graph()
    pipe.build()
    (output,) = pipe.run()
    return output.as_array(), output.layout()


def test_each_channel_has_its_mean_taken_off_and_is_divided_by_its_deviation(levels):
    floats, layout = normalized(levels)
    expected = (levels - np.array([123.675, 116.28, 103.53])) / np.array([58.395, 57.12, 57.375])
    assert layout == "CHW"
    np.testing.assert_allclose(floats, expected.transpose(0, 3, 1, 2), rtol=0, atol=2e-6)


def test_it_is_torchvisions_normalize(levels):
    from torchvision.transforms import functional

    floats, _ = normalized(levels)
    theirs = functional.normalize(
        torch.from_numpy(levels.transpose(0, 3, 1, 2)) / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    )
    np.testing.assert_allclose(floats, theirs.numpy(), rtol=0, atol=3e-6)


def test_mean_and_deviation_may_be_given(levels):
    floats, _ = normalized(levels, mean=(0, 0, 0), std=(255, 255, 255))
    np.testing.assert_allclose(floats, levels.transpose(0, 3, 1, 2) / 255, rtol=0, atol=1e-6)


def test_channels_last_writes_the_same_values_in_another_order(levels):
    first, _ = normalized(levels)
    last, layout = normalized(levels, channels_last=True)
    assert layout == "HWC"
    np.testing.assert_array_equal(last.transpose(0, 3, 1, 2), first)


def test_float16_is_the_rounded_float32(levels):
    half, _ = normalized(levels, dtype=torch.float16)
    single, _ = normalized(levels)
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, single, rtol=2**-10)


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
def test_a_dtype_may_be_named(name):
    assert as_dtype(name) == as_dtype(getattr(torch, name)) == getattr(torch, name)


@pytest.mark.parametrize(
    "dtype",
    ["float64", "fp16", np.float32, "half-ish", "int8", torch.float64, torch.uint8, 3, None, "Tensor", []],
    ids=str,
)
def test_another_dtype_is_refused(levels, dtype):
    allowed = "allowed are torch.float32, torch.float16 and torch.bfloat16, or their names: 'float32', 'float16' and"
    with pytest.raises(ValueError, match=rf"dtype=.* given; {allowed} 'bfloat16'"):
        normalized(levels, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_hole_is_exactly_0_and_nothing_else_is(dtype, channels_last):
    """White images: any 0 is the hole. Not square, so that x and y cannot be swapped unseen."""
    height, width, runs = 40, 64, 60
    white = [np.full((height, width, 3), 255, np.uint8)] * 2

    @pipeline_def(batch_size=2, num_threads=1, device_id=None, seed=5)
    def graph():
        pixels = fn.external_source(source=lambda: white, layout="HWC", dtype=types.UINT8, ndim=3)
        labels = fn.external_source(source=lambda: [np.int64(0)] * 2, dtype=types.INT64, ndim=0)
        mixed, targets = dc.mix(pixels, labels, dc.Cutout(0.5), num_classes=2)
        return dc.normalize(mixed, dtype=dtype, channels_last=channels_last), mixed, targets

    pipe = graph()
    pipe.build()
    rest = (255 - np.array(dc.IMAGENET_MEAN)) / np.array(dc.IMAGENET_STD)
    cut = 0
    for _ in range(runs):
        floats, mixed, targets = (output.as_array() for output in pipe.run())
        floats = floats if channels_last else floats.transpose(0, 2, 3, 1)
        is_hole = (floats == 0).all(-1)
        assert (is_hole == (mixed != 255).any(-1)).all(), "the hole of the plan, in the pixels of the plan"
        np.testing.assert_allclose(floats[~is_hole], np.broadcast_to(rest, floats[~is_hole].shape), rtol=2e-3)
        assert (targets == [1, 0]).all()
        columns = np.flatnonzero(is_hole[0].any(0))
        rows = np.flatnonzero(is_hole[0].any(1))
        assert is_hole[0].sum() == len(columns) * len(rows) > 0
        cut += len(columns) < 19 or len(rows) < 19
    assert 0.3 < cut / runs < 0.95, "squares of 20 pixels reach over the border, some do not"


def test_only_the_batches_that_drew_cutout_are_erased():
    """In OneOf, a box that pastes stays pasted."""
    black = [np.zeros((20, 30, 3), np.uint8)] * 2

    @pipeline_def(batch_size=2, num_threads=1, device_id=None, seed=5)
    def graph():
        pixels = fn.external_source(source=lambda: black, layout="HWC", dtype=types.UINT8, ndim=3)
        labels = fn.external_source(source=lambda: [np.int64(0), np.int64(1)], dtype=types.INT64, ndim=0)
        mixed, _ = dc.mix(pixels, labels, dc.OneOf((dc.CutMix(), dc.Mixup(), dc.Cutout(), None)), num_classes=2)
        return dc.normalize(mixed)

    pipe = graph()
    pipe.build()
    holes = [bool((pipe.run()[0].as_array() == 0).any()) for _ in range(200)]
    assert 25 < sum(holes) < 75

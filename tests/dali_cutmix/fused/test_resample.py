"""The fused pass on the CPU: crops and a plan in, the normalized, mixed batch out, each pixel resampled once."""

import gc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nvidia.dali import fn, pipeline_def, types

import dali_cutmix as dc
from tests.helpers.resampling import LEVEL, batches, needs_compiled, oracle

pytestmark = needs_compiled


@settings(max_examples=150)
@given(batches(), st.booleans(), st.integers(1, 3), st.booleans())
def test_every_pixel_is_that_of_resizing_whole_crops_and_mixing_after(batch, channels_last, num_threads, simple):
    crops, plan, size = batch
    finish = dc.Resample(size, channels_last=channels_last, num_threads=num_threads)
    finish._on_cpu.simple = simple
    images = finish(crops, plan)
    np.testing.assert_allclose(images.numpy(), oracle(crops, plan, size), atol=0.01 * LEVEL)
    assert images.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("channels_last", [False, True])
def test_smaller_dtypes_hold_the_float32_result_rounded(dtype, channels_last):
    random = np.random.default_rng(0)
    crops = [random.integers(0, 256, (40, 50, 3), dtype=np.uint8)]
    plan = np.zeros((1, 7), np.int32)
    exact = dc.Resample(17)(crops, plan)
    images = dc.Resample(17, dtype=dtype, channels_last=channels_last)(crops, plan)
    assert images.dtype == dtype
    assert torch.equal(images, exact.to(dtype))


def test_a_batch_that_is_held_is_never_written_again_and_a_dropped_one_is_reused():
    crops = [np.full((5, 5, 3), 100, np.uint8)]
    finish = dc.Resample(8)
    plan = np.zeros((1, 7), np.int32)
    held = [finish(crops, plan)[:, :1] for _ in range(6)]
    assert len({image.data_ptr() for image in held}) == 6
    before = [image.clone() for image in held]
    crops[0][...] = 200
    last = finish(crops, plan)
    assert all(map(torch.equal, held, before))
    freed = last.data_ptr()
    del last
    gc.collect()
    assert finish(crops, plan).data_ptr() == freed


@pytest.mark.parametrize(
    "crop",
    [
        np.zeros((4, 5), np.uint8),
        np.zeros((4, 5, 1), np.uint8),
        np.zeros((4, 5, 3), np.float32),
        np.zeros((4, 5, 3), np.uint8)[:, ::-1],
    ],
)
def test_what_is_no_crop_is_refused(crop):
    with pytest.raises(ValueError, match="at least one, each height×width×3, uint8 and contiguous"):
        dc.Resample(8)([crop], np.zeros((1, 7), np.int32))


@pytest.mark.parametrize("plan", [np.zeros((2, 7), np.int32), np.zeros((1, 6), np.int32), np.ones((1, 7), np.int32)])
def test_a_plan_for_another_batch_is_refused(plan):
    with pytest.raises(ValueError, match=r"1 crops and a plan of shape .* one row of 7 for each crop, with partners"):
        dc.Resample(8)([np.zeros((4, 5, 3), np.uint8)], plan)


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="0 crops given; expected at least one"):
        dc.Resample(8)([], np.zeros((0, 7), np.int32))


def test_an_output_of_dali_that_is_not_uint8_is_refused(photo_folder):
    @pipeline_def(batch_size=2, num_threads=1, device_id=None)
    def graph():
        jpegs, _ = dc.read_folder(photo_folder)
        return fn.cast(dc.random_crop(jpegs), dtype=types.FLOAT)

    (crops,) = graph().run()
    with pytest.raises(ValueError, match=r"2 crops of \S+ and shape \(.*\) given; .* uint8"):
        dc.Resample(8)(crops, np.zeros((2, 7), np.int32))


@settings(max_examples=60)
@given(batches(), st.booleans(), st.booleans())
def test_a_window_of_an_image_is_a_copy_of_it(batch, channels_last, simple):
    """Bit for bit, wherever in the image it lies."""
    copies, plan, size = batch
    random = np.random.default_rng(plan.sum() % 1000)
    images, windows = [], []
    for crop in copies:
        top, bottom, left, right = random.integers(0, 30, 4)
        image = random.integers(0, 256, (top + len(crop) + bottom, left + crop.shape[1] + right, 3), dtype=np.uint8)
        image[top : top + len(crop), left : left + crop.shape[1]] = crop
        images.append(image)
        windows.append((top, left, *crop.shape[:2]))
    finish = dc.Resample(size, channels_last=channels_last)
    finish._on_cpu.simple = simple
    assert torch.equal(finish(images, plan, np.array(windows)), finish(copies, plan))


@pytest.mark.parametrize("window", [(-1, 0, 2, 2), (0, 0, 5, 1), (0, 3, 1, 3), (0, 0, 0, 1), (1, 1, 1, 0)], ids=str)
def test_a_window_that_is_not_within_its_crop_is_refused(window):
    crops, plan = [np.zeros((9, 9, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)], np.zeros((2, 7), np.int32)
    message = (
        rf"window \[{', '.join(map(str, window))}\] \(y, x, height, width\) given for crop 1, which has 4×5 pixels"
    )
    with pytest.raises(ValueError, match=message):
        dc.Resample(8)(crops, plan, np.array([(0, 0, 9, 9), window]))


def test_windows_for_another_batch_are_refused():
    crops, plan = [np.zeros((4, 5, 3), np.uint8)], np.zeros((1, 7), np.int32)
    with pytest.raises(ValueError, match=r"windows of shape \(2, 4\) given; expected one row of 4 for each crop"):
        dc.Resample(8)(crops, plan, np.ones((2, 4), int))

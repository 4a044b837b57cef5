"""The fused pass's CUDA source, run on the host's compiler: the pixels of the CPU, for crops of any size."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dali_cutmix.fused import cuda
from dali_cutmix.fused.batch_layout import DTYPES, SAMPLE, BatchFormat, sample_table
from dali_cutmix.fused.cpu import CpuKernel
from tests.helpers import host_kernel
from tests.helpers.resampling import LEVEL, batches, format_of, needs_compiled, oracle


def run(launch, samples, how, grid=None, threads=32):
    """The batch that the CUDA source makes on the CPU; memory that it does not write to stays 0xFF."""
    n = len(samples)
    images = how.view(torch.full((how.bytes(n),), 255, dtype=torch.uint8), n)
    grid = grid or (-(-how.size // threads), -(-how.size // cuda.ROWS), n)
    scale, shift = (np.array(values, np.float32) for values in (how.scale, how.shift))
    launch(
        *grid,
        threads,
        samples.ctypes.data,
        images.data_ptr(),
        how.size,
        DTYPES[how.dtype],
        how.channels_last,
        scale.ctypes.data,
        shift.ctypes.data,
    )
    return images


@settings(max_examples=60)
@given(batches(), st.booleans(), st.sampled_from([32, 64]))
def test_every_pixel_is_that_of_resizing_whole_crops_and_mixing_after(launch, batch, channels_last, threads):
    crops, plan, size = batch
    images = run(launch, sample_table(crops, plan), format_of(size, channels_last=channels_last), threads=threads)
    np.testing.assert_allclose(images.numpy(), oracle(crops, plan, size), atol=0.01 * LEVEL)


@needs_compiled
@settings(max_examples=25)
@given(batches(), st.sampled_from(list(DTYPES)), st.booleans())
def test_cpu_and_gpu_agree_to_one_unit_of_the_output_type(launch, batch, dtype, channels_last):
    """Float32 to a thousandth of a level: sums of 255 levels are rounded in another order before the mean goes off."""
    crops, plan, size = batch
    samples = sample_table(crops, plan)
    how = format_of(size, dtype, channels_last)
    on_gpu, on_cpu = run(launch, samples, how).double(), CpuKernel(how, 1)(samples).double()
    unit = 0.001 * LEVEL if dtype == torch.float32 else torch.finfo(dtype).eps * on_cpu.abs().clamp(min=1)
    assert ((on_gpu - on_cpu).abs() <= unit).all()


def test_crops_that_are_wider_than_its_buffer_are_taken_in_parts(launch):
    random = np.random.default_rng(0)
    crops = [random.integers(0, 256, (3, width, 3), dtype=np.uint8) for width in (511, 512, 513, 2000)]
    plan = np.zeros((4, 7), np.int32)
    plan[:, 0], plan[:, 1:5], plan[:, 5] = [1, 2, 3, 0], [2, 0, 7, 5], [0, 1, 0, 1]
    images = run(launch, sample_table(crops, plan), format_of(9))
    np.testing.assert_allclose(images.numpy(), oracle(crops, plan, 9), atol=0.01 * LEVEL)


@settings(max_examples=40)
@given(batches(), st.sampled_from(list(DTYPES)), st.booleans(), st.integers(0, 2**32 - 1))
def test_a_window_of_a_larger_image_gives_what_a_copy_of_it_gives(launch, batch, dtype, channels_last, seed):
    """Its rows are further apart than it is wide, and it begins at any address."""
    crops, plan, size = batch
    random = np.random.default_rng(seed)
    images, windows = [], []
    for crop in crops:
        above, left, below, right = random.integers(0, 9, 4)
        height, width = crop.shape[:2]
        image = random.integers(0, 256, (above + height + below, left + width + right, 3), dtype=np.uint8)
        image[above : above + height, left : left + width] = crop
        images.append(image)
        windows.append((above, left, height, width))
    how = format_of(size, dtype, channels_last)
    found = run(launch, sample_table(images, plan, np.array(windows)), how)
    assert torch.equal(found, run(launch, sample_table(crops, plan), how))
    assert found.isfinite().all()


@pytest.mark.parametrize("sides", [(290, 15), (700, 80), (2000, 700)], ids=str)
def test_crops_with_more_rows_or_taps_than_are_taken_at_once_are_taken_in_parts(launch, sides):
    """Pasted and blended, where parts add to what is there."""
    random = np.random.default_rng(0)
    crops = [random.integers(0, 256, (*some, 3), dtype=np.uint8) for some in (sides, sides[::-1])]
    plan = np.array([(1, 2, 0, 7, 5, 0, 0), (0, 0, 0, 9, 9, 1, 20000)], np.int32)
    images = run(launch, sample_table(crops, plan), format_of(9))
    np.testing.assert_allclose(images.numpy(), oracle(crops, plan, 9), atol=0.01 * LEVEL)


@pytest.mark.parametrize("size", [1, 2, 3, 31, 33, 70])
@pytest.mark.parametrize("sides", [(1, 1), (1, 2), (1, 300), (7, 5)], ids=str)
def test_crops_and_images_of_any_size_in_any_format(launch, size, sides):
    """Down to one pixel; sizes whose rows and planes don't end at whole words."""
    random = np.random.default_rng(0)
    crops = [random.integers(0, 256, (*some, 3), dtype=np.uint8) for some in (sides, sides[::-1])]
    plan = np.array([(1, 0, 1, 2, size, 1, 0), (0, 0, 0, size, size, 0, 30000)], np.int32)
    exact = torch.from_numpy(oracle(crops, plan, size))
    for dtype, channels_last in product(DTYPES, [False, True]):
        images = run(launch, sample_table(crops, plan), format_of(size, dtype, channels_last), threads=64).double()
        unit = 0.01 * LEVEL if dtype == torch.float32 else torch.finfo(dtype).eps * exact.abs().clamp(min=1)
        assert ((images - exact).abs() <= unit).all(), (dtype, channels_last)


def test_an_image_that_is_wider_than_a_block_is_made_by_several(launch):
    random = np.random.default_rng(0)
    crops = [random.integers(0, 256, (20, 30, 3), dtype=np.uint8) for _ in range(2)]
    plan = np.array([(1, 20, 5, 60, 50, 1, 0), (0, 0, 0, 70, 70, 0, 20000)], np.int32)
    images = run(launch, sample_table(crops, plan), format_of(70), threads=32)
    np.testing.assert_allclose(images.numpy(), oracle(crops, plan, 70), atol=0.01 * LEVEL)


def test_a_hole_is_exactly_zero(launch):
    crops = [np.full((9, 9, 3), 200, np.uint8)]
    images = run(launch, sample_table(crops, np.array([(-1, 2, 3, 8, 9, 0, 0)], np.int32)), format_of(12))
    assert (images[0, :, 3:9, 2:8] == 0).all()
    assert (images != 0).sum() == 3 * (144 - 36)


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-8, 3e-5, 6.2e-5, 0.1, 1 / 3, 2.64, 65519.0, 65520.0, 1e9])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("where", ["cpu", "gpu"])
def test_casts_are_those_of_pytorch(launch, value, dtype, where):
    """Subnormal, ordinary, huge: a black crop, normalized to any value."""
    samples = sample_table([np.zeros((1, 1, 3), np.uint8)], np.zeros((1, 7), np.int32))
    how = BatchFormat(1, dtype, False, (1.0, 1.0, 1.0), (value, -value, value))
    images = run(launch, samples, how) if where == "gpu" else CpuKernel(how, 1)(samples)
    assert torch.equal(images.flatten(), torch.tensor([value, -value, value]).to(dtype))


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_the_cuda_source_compiles_for_gpus(architecture):
    cubin = host_kernel.compile_for_gpu("resample", architecture)
    assert cubin.startswith(b"\x7fELF")
    assert b"resample_and_mix" in cubin, "the kernel's name is not mangled"


def test_the_table_is_laid_out_as_the_sources_say():
    names = ("pixels", "height", "width", "plan", "pitch")
    assert [SAMPLE.fields[name][1] for name in names] == [0, 8, 12, 16, 44]
    assert SAMPLE.itemsize == 48

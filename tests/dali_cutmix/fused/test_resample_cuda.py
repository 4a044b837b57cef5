"""The fused pass on a GPU, without one: its source on the host's compiler, its launch with the GPU's calls replaced."""

import ctypes
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nvidia.dali import pipeline_def

import dali_cutmix as dc
from dali_cutmix.fused import cuda, fused_mix, resample
from dali_cutmix.fused.batch_layout import DTYPES, SAMPLE, BatchFormat, sample_table
from dali_cutmix.fused.cpu import CpuKernel, is_compiled
from dali_cutmix.gpu import keep_alive
from tests.dali_cutmix.fused.test_resample import LEVEL, batches, oracle
from tests.helpers import host_kernel

needs_compiled = pytest.mark.skipif(not is_compiled(), reason="dali_cutmix was built without a C++ compiler")


@pytest.fixture(scope="session")
def launch(tmp_path_factory):
    if host_kernel.compiler() is None:
        pytest.skip("needs a C++ compiler (g++ or clang++) to run resample.cu on the CPU")
    return host_kernel.build_resample(tmp_path_factory.mktemp("resample_cu"))


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


def of(size, dtype=torch.float32, channels_last=False):
    return BatchFormat(
        size,
        dtype,
        channels_last,
        tuple(1 / s for s in dc.IMAGENET_STD),
        tuple(-m / s for m, s in zip(dc.IMAGENET_MEAN, dc.IMAGENET_STD, strict=True)),
    )


# The source


@settings(max_examples=60)
@given(batches(), st.booleans(), st.sampled_from([32, 64]))
def test_every_pixel_is_that_of_resizing_whole_crops_and_mixing_after(launch, batch, channels_last, threads):
    crops, plan, size = batch
    images = run(launch, sample_table(crops, plan), of(size, channels_last=channels_last), threads=threads)
    np.testing.assert_allclose(images.numpy(), oracle(crops, plan, size), atol=0.01 * LEVEL)


@needs_compiled
@settings(max_examples=25)
@given(batches(), st.sampled_from(list(DTYPES)), st.booleans())
def test_cpu_and_gpu_agree_to_one_unit_of_the_output_type(launch, batch, dtype, channels_last):
    """Float32 to a thousandth of a level: sums of 255 levels are rounded in another order before the mean goes off."""
    crops, plan, size = batch
    samples = sample_table(crops, plan)
    how = of(size, dtype, channels_last)
    on_gpu, on_cpu = run(launch, samples, how).double(), CpuKernel(how, 1)(samples).double()
    unit = 0.001 * LEVEL if dtype == torch.float32 else torch.finfo(dtype).eps * on_cpu.abs().clamp(min=1)
    assert ((on_gpu - on_cpu).abs() <= unit).all()


def test_crops_that_are_wider_than_its_buffer_are_taken_in_parts(launch):
    random = np.random.default_rng(0)
    crops = [random.integers(0, 256, (3, width, 3), dtype=np.uint8) for width in (511, 512, 513, 2000)]
    plan = np.zeros((4, 7), np.int32)
    plan[:, 0], plan[:, 1:5], plan[:, 5] = [1, 2, 3, 0], [2, 0, 7, 5], [0, 1, 0, 1]
    images = run(launch, sample_table(crops, plan), of(9))
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
    how = of(size, dtype, channels_last)
    found = run(launch, sample_table(images, plan, np.array(windows)), how)
    assert torch.equal(found, run(launch, sample_table(crops, plan), how))
    assert found.isfinite().all()


@pytest.mark.parametrize("sides", [(290, 15), (700, 80), (2000, 700)], ids=str)
def test_crops_with_more_rows_or_taps_than_are_taken_at_once_are_taken_in_parts(launch, sides):
    """Pasted and blended, where parts add to what is there."""
    random = np.random.default_rng(0)
    crops = [random.integers(0, 256, (*some, 3), dtype=np.uint8) for some in (sides, sides[::-1])]
    plan = np.array([(1, 2, 0, 7, 5, 0, 0), (0, 0, 0, 9, 9, 1, 20000)], np.int32)
    images = run(launch, sample_table(crops, plan), of(9))
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
        images = run(launch, sample_table(crops, plan), of(size, dtype, channels_last), threads=64).double()
        unit = 0.01 * LEVEL if dtype == torch.float32 else torch.finfo(dtype).eps * exact.abs().clamp(min=1)
        assert ((images - exact).abs() <= unit).all(), (dtype, channels_last)


def test_an_image_that_is_wider_than_a_block_is_made_by_several(launch):
    random = np.random.default_rng(0)
    crops = [random.integers(0, 256, (20, 30, 3), dtype=np.uint8) for _ in range(2)]
    plan = np.array([(1, 20, 5, 60, 50, 1, 0), (0, 0, 0, 70, 70, 0, 20000)], np.int32)
    images = run(launch, sample_table(crops, plan), of(70), threads=32)
    np.testing.assert_allclose(images.numpy(), oracle(crops, plan, 70), atol=0.01 * LEVEL)


def test_a_hole_is_exactly_zero(launch):
    crops = [np.full((9, 9, 3), 200, np.uint8)]
    images = run(launch, sample_table(crops, np.array([(-1, 2, 3, 8, 9, 0, 0)], np.int32)), of(12))
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


# The launch


class Event:
    def __init__(self, done):
        self.done = done

    def query(self):
        return self.done

    def synchronize(self):
        self.done = True


@pytest.fixture
def gpu(launch, monkeypatch):
    """What a GPU would do is done on the CPU; ``gpu.launches`` has the grids, ``gpu.done`` whether it has kept up."""

    class Gpu:
        done = True

        def __init__(self):
            self.launches = []
            self.events = []

        def launch(self, number, grid, threads, arguments):
            assert number == 0
            rows, images, size, dtype, channels_last, *factors = arguments
            assert all(isinstance(value, np.int32) for value in (size, dtype, channels_last)), "the kernel takes ints"
            assert all(isinstance(value, np.float32) for value in factors), "the kernel takes floats"
            assert threads % 32 == 0
            assert threads <= 1024
            self.launches.append((grid, threads))
            scale, shift = np.array(factors[:3]), np.array(factors[3:])
            where = scale.ctypes.data, shift.ctypes.data
            launch(*grid, threads, ctypes.c_void_p(rows), images, int(size), int(dtype), int(channels_last), *where)

        def record(self, number):
            assert number == 0
            self.events.append(Event(self.done))
            return self.events[-1]

    here = Gpu()
    monkeypatch.setattr(cuda, "_launch", here.launch)
    monkeypatch.setattr(cuda, "record", here.record)
    monkeypatch.setattr(cuda, "_empty", lambda size, gpu: torch.empty(size, dtype=torch.uint8))
    for module in (cuda, fused_mix):
        monkeypatch.setattr(module, "upload", lambda array, gpu: torch.from_numpy(array))
    for module in (resample, fused_mix):
        monkeypatch.setattr(module, "gpu_of", lambda crops: 0)
    return here


@pytest.mark.parametrize("size", [16, 33, 224, 300])
def test_one_launch_covers_the_batch(gpu, size):
    random = np.random.default_rng(0)
    crops = [random.integers(0, 256, (20, 30, 3), dtype=np.uint8) for _ in range(2)]
    plan = np.array([(1, 2, 3, size, size - 1, 1, 0), (0, 0, 0, 0, 0, 0, 0)], np.int32)
    images = dc.Resample(size)(crops, plan)
    assert len(gpu.launches) == 1
    np.testing.assert_allclose(images.numpy(), oracle(crops, plan, size), atol=0.01 * LEVEL)


@needs_compiled
@pytest.mark.parametrize("mix", [dc.CutMix(), dc.Mixup(), dc.Cutout(), None], ids=repr)
@pytest.mark.parametrize("targets", ["dense", "pairs"])
def test_a_loader_on_a_gpu_gives_the_batches_of_one_on_the_cpu(photo_folder, request, mix, targets):
    def epoch():
        finish = dc.FusedMix(mix, resample=dc.Resample(24), targets=targets)

        @pipeline_def(batch_size=4, num_threads=1, device_id=None, seed=1)
        def graph():
            jpegs, labels = dc.read_folder(photo_folder)
            return finish.inputs(dc.random_crop(jpegs), labels)

        loader = dc.Loader(graph(), finish=finish)
        batches = list(loader)
        loader._producer.wait()  # the batch ahead is made in a thread, which shall not reach into another test
        return batches

    on_cpu = epoch()
    gpu = request.getfixturevalue("gpu")
    on_gpu = epoch()
    # The loader prepares one batch ahead here, as on the CPU.
    assert len(on_cpu) == len(on_gpu) <= len(gpu.launches) <= len(on_gpu) + 1
    for (images, *shares), (gpu_images, *gpu_shares) in zip(on_cpu, on_gpu, strict=True):
        torch.testing.assert_close(gpu_images, images, rtol=0, atol=1e-5)
        assert all(map(torch.equal, shares, gpu_shares))


def test_crops_are_held_until_the_kernel_has_read_them(gpu):
    """DALI takes their memory back with the last reference; the consumer's stream may be far behind."""
    finish = dc.Resample(8)
    plan = np.zeros((1, 7), np.int32)
    gpu.done = False
    for _ in range(3):
        finish([np.zeros((5, 5, 3), np.uint8)], plan)
    assert len(finish._on_gpu._keep_alive) == 3
    gpu.events[0].done = gpu.events[1].done = True
    finish([np.zeros((5, 5, 3), np.uint8)], plan)
    assert len(finish._on_gpu._keep_alive) == 2


def test_the_host_waits_for_a_gpu_that_is_many_batches_behind(gpu):
    finish = dc.Resample(8)
    gpu.done = False
    for _ in range(20):
        finish([np.zeros((5, 5, 3), np.uint8)], np.zeros((1, 7), np.int32))
    assert len(finish._on_gpu._keep_alive) == keep_alive.MOST_AHEAD
    assert [event.done for event in gpu.events] == [True] * 12 + [False] * 8

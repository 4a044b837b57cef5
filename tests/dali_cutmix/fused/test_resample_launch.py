"""The launch of the fused pass on a GPU, with the GPU's calls replaced: what is launched, held and waited for."""

import ctypes

import numpy as np
import pytest
import torch
from nvidia.dali import pipeline_def

import dali_cutmix as dc
from dali_cutmix.fused import cuda, fused_mix, resample
from dali_cutmix.gpu import keep_alive
from tests.helpers.resampling import LEVEL, needs_compiled, oracle


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

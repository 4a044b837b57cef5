"""On a GPU: the kernels give the results of the CPU and never make the host wait."""

import numpy as np
import pytest
import torch
from nvidia.dali import fn, pipeline_def, types

import dali_cutmix as dc
from dali_cutmix.mixing.paste_operator import paste, paste_numpy
from pipelines import imagenet
from tests.helpers.gpu import FILL, POLICIES, busy, random_batch


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("n", "height", "width", "channels"),
    [(1, 1, 1, 3), (5, 7, 9, 1), (16, 64, 48, 3), (7, 33, 47, 4), (64, 224, 224, 3)],
)
def test_cupy_gives_the_bits_of_numpy(n, height, width, channels):
    import cupy

    from dali_cutmix.mixing.paste_operator import paste_cupy

    fill = (1, 2, 3, 4)
    for seed in range(5):
        images, rows = random_batch(n, height, width, channels, seed)
        on_gpu = paste_cupy([cupy.asarray(image) for image in images], [cupy.asarray(row) for row in rows], fill)
        expected = np.stack(paste_numpy(list(images), list(rows), fill))
        np.testing.assert_array_equal(np.stack([image.get() for image in on_gpu]), expected)


@pytest.mark.gpu
def test_the_operator_in_a_graph_gives_the_bits_of_numpy():
    batches = [random_batch(16, 40, 64, 3, seed) for seed in range(20)]

    @pipeline_def(batch_size=16, num_threads=2, device_id=0)
    def graph():
        images, rows = fn.external_source(
            source=lambda info: tuple(map(list, batches[info.iteration % 20])),
            num_outputs=2,
            batch=True,
            batch_info=True,
            dtype=[types.UINT8, types.INT32],
            ndim=[3, 1],
            layout=["HWC", ""],
        )
        return paste(images.gpu(), rows.gpu(), FILL)

    pipe = graph()
    pipe.build()
    for images, rows in batches:
        (mixed,) = pipe.run()
        expected = np.stack(paste_numpy(list(images), list(rows), FILL))
        np.testing.assert_array_equal(mixed.as_cpu().as_array(), expected)


@pytest.mark.gpu
def test_the_operator_does_not_synchronize():
    """The stream is still busy when the call returns: nobody has waited for it. A host copy would have."""
    import cupy

    from dali_cutmix.mixing.paste_operator import paste_cupy

    images, rows = random_batch(8, 64, 64, 3, 0)
    device_images, device_rows = [cupy.asarray(x) for x in images], [cupy.asarray(x) for x in rows]
    expected = np.stack(paste_numpy(list(images), list(rows), FILL))
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream), cupy.cuda.Stream.from_external(stream):
        paste_cupy(device_images, device_rows, FILL)  # compiled, and its memory is in the stream's pool
        with busy(stream):
            mixed = paste_cupy(device_images, device_rows, FILL)
            assert not stream.query(), "paste_cupy waited for the stream"
    np.testing.assert_array_equal(np.stack([image.get() for image in mixed]), expected)


def pipeline_of(arrays):
    """A pipeline whose outputs hold these arrays on the GPU."""

    @pipeline_def(batch_size=len(arrays), num_threads=1, device_id=0)
    def graph():
        return fn.external_source(source=lambda: arrays, dtype=types.UINT8, ndim=3, layout="HWC").gpu()

    pipeline = graph()
    pipeline.build()
    return pipeline


def crops_on_the_gpu(arrays):
    """A DALI output on the GPU that holds these arrays."""
    (output,) = pipeline_of(arrays).run(torch.cuda.current_stream(0))
    return output


def random_crops(n, seed):
    rng = np.random.default_rng(seed)
    crops = [rng.integers(0, 256, (*rng.integers(1, 500, 2), 3), dtype=np.uint8) for _ in range(n)]
    _, rows = random_batch(n, 224, 224, 1, seed)
    return crops, rows


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("size", [224, 320])
def test_the_fused_kernel_gives_the_batch_of_the_cpu_to_one_unit(dtype, channels_last, size):
    finish = dc.Resample(size, dtype=dtype, channels_last=channels_last)
    for seed in range(5):
        crops, rows = random_crops(33, seed)
        on_cpu = finish(crops, rows)
        on_gpu = finish(crops_on_the_gpu(crops), rows)
        assert on_gpu.is_cuda
        assert on_gpu.dtype == dtype
        assert on_gpu.stride() == on_cpu.stride()
        difference = (on_gpu.cpu().double() - on_cpu.double()).abs()
        # Float32 to a thousandth of a level: sums are rounded in another order.
        unit = torch.finfo(dtype).eps * on_cpu.double().abs().clamp(min=1) if dtype != torch.float32 else 0.001 / 57.12
        assert (difference <= unit).all()


@pytest.mark.gpu
def test_the_fused_kernel_does_not_synchronize_and_its_crops_live_as_long_as_it_needs_them():
    finish = dc.Resample(224)
    crops, rows = random_crops(16, 0)
    finish(crops_on_the_gpu(crops), rows)  # compiled, and its memory is in the pool
    expected = finish(crops, rows)
    on_gpu = crops_on_the_gpu(crops)
    # Built before the stream is kept busy: that may wait for the GPU.
    others = [pipeline_of([np.zeros_like(crop) for crop in crops]) for _ in range(3)]
    with busy():
        images = finish(on_gpu, rows)
        del on_gpu
        zeros = [other.run(torch.cuda.current_stream()) for other in others]
        assert not torch.cuda.current_stream().query(), "Resample waited for the stream"
    torch.testing.assert_close(images.cpu(), expected, rtol=0, atol=1e-5)
    assert len(zeros) == 3


@pytest.mark.gpu
@pytest.mark.parametrize("policy", POLICIES[1:5], ids=repr)
@pytest.mark.parametrize("targets", ["dense", "pairs"])
def test_fused_and_unfused_on_the_gpu_draw_the_same_and_agree_in_pixels(photo_folder, policy, targets):
    options = {"batch_size": 4, "size": 48, "mix": policy, "targets": targets, "device": "cuda:0", "seed": 5}
    fused, unfused = (imagenet.train(photo_folder, fused=fused, **options) for fused in (True, False))
    for (images, *shares), (expected, *expected_shares) in zip(fused, unfused, strict=True):
        assert all(map(torch.equal, shares, expected_shares))
        assert (images - expected).abs().max() < 2 / 57.12

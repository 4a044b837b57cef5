"""The GPU: wired right without one, bit for bit the same with one.

The first part needs no GPU. It defines every graph for a GPU and goes on until CUDA itself is asked for; DALI checks
on the way whether each input is on the device that its operator wants. The second part carries the marker ``gpu``.
"""

import copy
import gc
import itertools
import warnings
from contextlib import contextmanager, nullcontext
from functools import partial

import numpy as np
import pytest
import torch
from nvidia.dali import fn, pipeline_def, types

import dali_cutmix as dc
from dali_cutmix.fused import cuda
from dali_cutmix.gpu.keep_alive import MOST_AHEAD
from dali_cutmix.mixing.paste_operator import paste, paste_numpy
from pipelines import cifar, cub, imagenet
from tests.helpers.bad_files import BAD
from tests.helpers.cifar_archives import make_data, write_folder
from tests.helpers.images import save
from train.evaluation.cam import ClassMaps
from train.models import classifiers

POLICIES = [
    dc.CutMix(),
    dc.CutMix(probability=0.5, per_sample=True),
    dc.Mixup(0.2),
    dc.Cutout(),
    dc.OneOf((dc.CutMix(), dc.Mixup(), dc.Cutout(), None)),
    None,
]
FILL = (124, 116, 104)
MOST_CYCLES = 6_000_000_000
"""How long a stream is kept busy at most: about three seconds."""
WAIT = """
extern "C" __global__ void wait_for(const volatile int* flag, long long cycles) {
    const long long start = clock64();
    while (!*flag && clock64() - start < cycles) {}
}
"""

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here, so CUDA would not fail")


# Without a GPU


@pytest.fixture
def as_if_there_were_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)


NO_CUDA = "create a GPU DALI pipeline while CUDA is not available"


@without_gpu
@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@pytest.mark.parametrize("targets", ["dense", "pairs"])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("decode", ["whole", "region"])
def test_the_training_graph_for_a_gpu_is_wired_right(
    colour_folder, as_if_there_were_a_gpu, policy, targets, fused, decode
):
    options = {"mix": policy, "targets": targets, "fused": fused, "decode": decode}
    options |= {"hw_decoder_load": 0.8, "preallocate": (500, 400)}
    with pytest.raises(RuntimeError, match=NO_CUDA):
        imagenet.train(colour_folder, batch_size=4, size=16, device="cuda:0", **options)


@without_gpu
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("function", [imagenet.train, imagenet.val])
def test_every_output_format_for_a_gpu_is_wired_right(
    colour_folder, as_if_there_were_a_gpu, function, dtype, channels_last
):
    options = {"dtype": dtype, "channels_last": channels_last}
    with pytest.raises(RuntimeError, match=NO_CUDA):
        function(colour_folder, batch_size=4, size=16, device="cuda:0", **options)


@without_gpu
@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@pytest.mark.parametrize("function", [cub.train, cifar.train])
def test_the_other_training_graphs_for_a_gpu_are_wired_right(colour_folder, as_if_there_were_a_gpu, function, policy):
    with pytest.raises(RuntimeError, match=NO_CUDA):
        function(colour_folder, batch_size=4, size=16, mix=policy, device="cuda:0")


@without_gpu
def test_the_stretched_evaluation_for_a_gpu_is_wired_right(colour_folder, as_if_there_were_a_gpu):
    with pytest.raises(RuntimeError, match=NO_CUDA):
        imagenet.val(colour_folder, batch_size=4, size=16, resize=20, stretch=True, device="cuda:0")


@without_gpu
def test_a_wrong_wire_would_be_noticed_without_a_gpu(colour_folder):
    """What the two tests above rely on: a plan left on the CPU fails as such, before CUDA is asked for."""

    @pipeline_def(batch_size=4, num_threads=1, device_id=0)
    def graph():
        jpegs, labels = dc.read_folder(colour_folder)
        return paste(dc.random_resized_crop(jpegs, 16), fn.stack(*[labels] * 7), FILL)

    with pytest.raises(RuntimeError, match='input 1 for gpu operator .* incompatible device "cpu"'):
        graph()


@without_gpu
@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_images_and_targets_of_a_gpu_graph_are_on_the_gpu(colour_folder, policy):
    devices = []

    @pipeline_def(batch_size=4, num_threads=1, device_id=0)
    def graph():
        jpegs, labels = dc.read_folder(colour_folder)
        images = dc.random_resized_crop(jpegs, 16)
        mixed, *shares = dc.mix(images, labels, policy, targets="pairs")
        outputs = (dc.normalize(mixed), dc.normalize(dc.resize_center_crop(jpegs, 16, resize=16)), *shares)
        devices.extend(output.device for output in (images, mixed, *outputs))
        return outputs

    pipe = graph()
    pipe.start_py_workers()
    assert devices == ["gpu"] * 6


@without_gpu
def test_the_consumers_stream_is_taken_in_a_way_that_is_not_deprecated(monkeypatch):
    """CuPy 14 warns of an ``ExternalStream``, and that would be at every batch."""
    import cupy

    class TorchStream:
        cuda_stream = 0

        def __cuda_stream__(self):
            return 0, self.cuda_stream

    taken, launched = [], []
    from_external = cupy.cuda.Stream.from_external

    class Stream:  # CuPy's own cannot become current without a driver
        @staticmethod
        def from_external(stream):
            taken.append(from_external(stream).ptr)
            return nullcontext()

    monkeypatch.setattr(torch.cuda, "current_stream", lambda number: TorchStream())
    monkeypatch.setattr(cupy.cuda, "Device", lambda number: nullcontext())
    monkeypatch.setattr(cupy.cuda, "Stream", Stream)
    monkeypatch.setattr(cuda, "_kernel", lambda threads: lambda *given: launched.append(given))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cuda._launch(0, (1, 2, 3), 32, ("arguments",))
    assert taken == [0]
    assert launched == [((1, 2, 3), (32,), ("arguments",))]


# With a GPU


@contextmanager
def busy(stream=None):
    """Keep a stream busy until the end of the block, however long that takes: nothing depends on how fast the host is.

    Only a host that waits for the stream sees it idle, after three seconds.
    """
    import cupy

    stream = stream or torch.cuda.current_stream()
    flag = torch.ones(1, dtype=torch.int32).pin_memory()
    kernel = cupy.RawKernel(WAIT, "wait_for")

    def start():
        with cupy.cuda.Stream.from_external(stream):
            kernel((1,), (1,), (flag.data_ptr(), np.int64(MOST_CYCLES)))

    start()  # compiled and loaded, which may wait for the GPU; the flag is up, so that it ends at once
    torch.cuda.synchronize()
    flag[0] = 0
    try:
        start()
        yield
    finally:
        flag[0] = 1
        torch.cuda.synchronize()


def random_batch(n, height, width, channels, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, height, width, channels), np.uint8)
    x = np.sort(rng.integers(0, width + 1, (n, 2)), 1)
    y = np.sort(rng.integers(0, height + 1, (n, 2)), 1)
    partner = np.where(rng.random(n) < 0.2, -1, rng.permutation(n))
    weight = np.where(rng.random(n) < 0.5, 0, rng.integers(0, 65537, n))
    columns = [partner, x[:, 0], y[:, 0], x[:, 1], y[:, 1], rng.integers(0, 2, n), weight]
    return images, np.stack(columns, 1).astype(np.int32)


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


@pytest.mark.gpu
@pytest.mark.parametrize("fused", [True, False])
def test_the_hand_off_does_not_synchronize(photo_folder, fused):
    """Taking a batch waits for DALI's work at most, never for the training step on the consumer's stream."""
    loader = imagenet.train(photo_folder, batch_size=4, size=32, device="cuda:0", fused=fused)
    batches = iter(loader)
    next(batches)
    with busy():
        images, targets = next(batches)
        assert not torch.cuda.current_stream().query(), "the loader waited for the consumer's stream"
    assert images.isfinite().all()
    assert (targets.sum(1) - 1).abs().max() < 1e-6


@pytest.mark.gpu
@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_a_gpu_makes_the_draws_of_a_cpu_and_nearly_its_pixels(colour_folder, policy):
    """Plain colours: decoders and filters differ by a level or two, plans and targets not at all."""
    options = {"batch_size": 8, "size": 32, "mix": policy, "seed": 2}
    on_cpu = imagenet.train(colour_folder, device="cpu", fused=False, **options)
    on_gpu = imagenet.train(colour_folder, device="cuda:0", **options)
    for (images, targets), (gpu_images, gpu_targets) in zip(on_cpu, on_gpu, strict=True):
        assert gpu_images.is_cuda
        assert gpu_targets.is_cuda
        assert torch.equal(gpu_targets.cpu(), targets)
        torch.testing.assert_close(gpu_images.cpu(), images, rtol=0, atol=5 / 57)


@pytest.mark.gpu
def test_pairs_are_on_the_gpu_and_equal_dense_targets(colour_folder):
    options = {"batch_size": 8, "size": 32, "seed": 2, "device": "cuda:0"}
    dense = imagenet.train(colour_folder, **options)
    pairs = imagenet.train(colour_folder, targets="pairs", **options)
    for (images, targets), (same, labels, lam) in zip(dense, pairs, strict=True):
        assert torch.equal(images, same)
        assert labels.is_cuda
        assert lam.is_cuda
        logits = torch.randn(8, 12, device="cuda:0")
        torch.testing.assert_close(dc.soft_cross_entropy(logits, targets), dc.pair_cross_entropy(logits, labels, lam))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("channels_last", [False, True])
def test_formats_on_the_gpu(photo_folder, dtype, channels_last):
    options = {"batch_size": 4, "size": 32, "device": "cuda:0"}
    reference, _ = next(iter(imagenet.train(photo_folder, **options)))
    images, _ = next(iter(imagenet.train(photo_folder, dtype=dtype, channels_last=channels_last, **options)))
    assert images.dtype == dtype
    assert images.device == torch.device("cuda:0")
    assert images.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    torch.testing.assert_close(images.float(), reference, rtol=2**-7, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_holes_on_the_gpu_are_exactly_0(colour_folder, dtype):
    loader = imagenet.train(
        colour_folder, batch_size=8, size=32, device="cuda:0", dtype=dtype, mix=dc.Cutout(per_sample=True)
    )
    for images, targets in loader:
        is_hole = (images == 0).all(1)
        assert is_hole.sum((1, 2)).min() > 8 * 8 * 0.9
        assert is_hole.sum((1, 2)).max() <= 17 * 17
        assert (targets.max(1).values == 1).all()


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["val", "fused", "unfused", "pairs"])
def test_a_batch_is_not_overwritten_while_the_consumers_stream_is_behind(photo_folder, kind):
    """A loop that never synchronizes: the host drops a batch long before the GPU has read it."""
    options = {"batch_size": 4, "size": 64, "device": "cuda:0"}

    def make():
        if kind == "val":
            return imagenet.val(photo_folder, resize=64, **options)
        return imagenet.train(
            photo_folder, fused=kind != "unfused", targets="pairs" if kind == "pairs" else "dense", **options
        )

    def endless():
        loader = make()
        while True:
            yield from loader

    count = 8  # with more the host waits, see KeepAlive
    expected = [[tensor.cpu() for tensor in batch] for batch in itertools.islice(endless(), 1 + count)]
    batches, kept = endless(), []
    next(batches)  # building and compiling may wait for the GPU
    with busy():
        for _ in range(count):
            batch = next(batches)
            kept.append([tensor.clone() for tensor in batch])  # queued behind all that keeps the stream busy
            del batch
        assert not torch.cuda.current_stream().query(), "the loader waited for the consumer's stream"
    for (images, *shares), (same, *others) in zip(kept, expected[1:], strict=True):
        assert all(torch.equal(a.cpu(), b) for a, b in zip(shares, others, strict=True))
        assert (images.cpu() - same).abs().mean() * 57 < 3, "levels; those of another batch differ by far more"


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["val", "fused", "unfused"])
def test_a_host_that_is_far_ahead_waits_and_overwrites_nothing(photo_folder, kind):
    """Twenty batches are taken while each step on the stream takes long: the host has to wait for some of them."""
    options = {"batch_size": 4, "size": 64, "device": "cuda:0"}

    def endless():
        if kind == "val":
            loader = imagenet.val(photo_folder, resize=64, **options)
        else:
            loader = imagenet.train(photo_folder, fused=kind == "fused", **options)
        while True:
            yield from loader

    expected = [images.cpu() for images, _ in itertools.islice(endless(), 20)]
    kept = []
    for images, _ in itertools.islice(endless(), 20):
        torch.cuda._sleep(20_000_000)  # cycles: about ten milliseconds
        kept.append(images.clone())
        del images
    for images, same in zip(kept, expected, strict=True):
        assert (images.cpu() - same).abs().mean() * 57 < 3, "levels; those of another batch differ by far more"


@pytest.mark.gpu
@pytest.mark.parametrize("fused", [True, False])
def test_whole_images_and_regions_on_the_gpu_are_near_each_other_with_the_same_draws(photo_folder, fused):
    """Upsampled chroma may differ by some levels at a region's border."""
    options = {"batch_size": 8, "size": 48, "device": "cuda:0", "fused": fused, "seed": 4}
    region, whole = (imagenet.train(photo_folder, decode=way, **options) for way in ("region", "whole"))
    for (images, targets), (others, same) in zip(region, whole, strict=True):
        assert torch.equal(targets, same)
        assert (images - others).abs().mean() * 57 < 1.5, "levels, as a mean over pixels"


@pytest.mark.gpu
def test_another_share_of_the_hardware_decoder_is_told_when_a_state_is_loaded(photo_folder):
    options = {"batch_size": 4, "size": 32, "device": "cuda:0"}
    saved = imagenet.train(photo_folder, hw_decoder_load=0.65, **options).state_dict()
    assert saved["decoder"]["gpu"] == torch.cuda.get_device_name(0)
    assert saved["decoder"]["nvjpeg"] is not None
    with pytest.warns(UserWarning, match=r"hw_decoder_load: 0\.65 saved, 1\.0 here"):
        imagenet.train(photo_folder, hw_decoder_load=1.0, **options).load_state_dict(saved)


@pytest.mark.gpu
@pytest.mark.parametrize("fused", [True, False])
def test_a_loader_on_the_second_gpu_gives_the_batches_of_the_first(photo_folder, fused):
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    options = {"batch_size": 4, "size": 32, "fused": fused}
    first, second = (imagenet.train(photo_folder, device=f"cuda:{number}", **options) for number in (0, 1))
    assert torch.cuda.current_device() == 0
    for one, other in zip(first, second, strict=True):
        assert other[0].device == torch.device("cuda:1")
        assert all(torch.equal(a.cpu(), b.cpu()) for a, b in zip(one, other, strict=True))
    assert torch.cuda.current_device() == 0


@pytest.mark.gpu
def test_batches_that_are_kept_on_the_gpu_stay_as_they_were(photo_folder):
    @pipeline_def(**dc.pipeline_options(4, device="cuda:0"))
    def graph():
        jpegs, labels = dc.read_folder(photo_folder)
        images, targets = dc.mix(dc.random_resized_crop(jpegs, 32), labels)
        return dc.normalize(images), targets

    loader = dc.Loader(graph())
    kept = [(images, images.clone(), targets, targets.clone()) for _ in range(5) for images, targets in loader]
    assert all(torch.equal(a, b) and torch.equal(c, d) for a, b, c, d in kept)
    assert len({tuple(copy.flatten()[:64].tolist()) for _, copy, _, _ in kept}) == len(kept)


@pytest.mark.gpu
@pytest.mark.parametrize("policy", [POLICIES[1], POLICIES[4]], ids=repr)
@pytest.mark.parametrize(("fused", "load"), [(True, 0.0), (True, 0.65), (False, 0.0)])
def test_training_on_the_gpu_goes_on_bit_for_bit(photo_folder, policy, fused, load):
    """Also where the JPEG engine decodes its share of every batch: the same one each time."""

    def make():
        options = {"device": "cuda:0", "mix": policy, "fused": fused, "hw_decoder_load": load}
        return imagenet.train(photo_folder, batch_size=7, size=32, **options)

    def endless(loader):
        while True:
            yield from loader

    reference = make()
    running, batches, states = endless(reference), [], [reference.state_dict()]
    for _ in range(8):
        batches.append([tensor.clone() for tensor in next(running)])
        states.append(reference.state_dict())
    for i in (1, 4):
        resumed = make()
        resumed.load_state_dict(states[i])
        for expected, found in zip(batches[i : i + 2], endless(resumed), strict=False):
            assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


@pytest.mark.gpu
def test_evaluation_on_the_gpu_is_near_the_cpu_and_gives_every_sample_once(photo_folder):
    options = {"batch_size": 10, "size": 64, "resize": 72}
    on_cpu = imagenet.val(photo_folder, device="cpu", **options)
    on_gpu = imagenet.val(photo_folder, device="cuda:0", **options)
    seen = 0
    for (images, labels), (gpu_images, gpu_labels) in zip(on_cpu, on_gpu, strict=True):
        assert gpu_labels.is_cuda
        assert torch.equal(gpu_labels.cpu(), labels)
        difference = (gpu_images.cpu() - images).abs().mean() * 57
        assert difference < 1.5, "levels, as a mean over pixels"
        seen += len(labels)
    assert seen == 24


@pytest.mark.gpu
@pytest.mark.parametrize(("function", "options"), [(cub.train, {"resize": 72}), (cifar.train, {"padding": 8})])
def test_the_other_trainings_on_the_gpu_are_near_the_cpu(tmp_path, photos, function, options):
    """PNG, which both decode to the same pixels; resampling may differ by a level."""
    for i in range(16):
        save(photos[i % 2][10 * i : 10 * i + 70, :90], tmp_path / "ab"[i % 2] / f"{i:02d}.png")
    on_cpu, on_gpu = (
        function(tmp_path, batch_size=8, size=64, device=device, seed=1, **options) for device in ("cpu", "cuda:0")
    )
    for (images, targets), (gpu_images, gpu_targets) in zip(on_cpu, on_gpu, strict=True):
        assert gpu_targets.is_cuda
        torch.testing.assert_close(gpu_targets.cpu(), targets)
        assert (gpu_images.cpu() - images).abs().mean() * 57 < 1, "levels, as a mean over pixels"


@pytest.mark.gpu
def test_cifars_pixels_are_the_same_on_the_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = make_data("cifar-10-batches-bin")
    read = partial(cifar.read, write_folder(tmp_path, "cifar-10-batches-bin", data), "val")
    ((images, labels),) = imagenet.val(read, size=32, resize=32, mean=(0, 0, 0), std=(1, 1, 1), device="cuda:0")
    assert (images.permute(0, 2, 3, 1).cpu().numpy() == data["val"][0]).all()
    assert labels.tolist() == data["val"][1].tolist()


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["resnet10", "vgg16_gap", "resnet50_wsol"])
def test_class_maps_on_the_gpu_are_near_the_cpu(name):
    torch.manual_seed(0)
    model, images, labels = classifiers.build(name, 5).eval(), torch.randn(2, 3, 64, 64), torch.tensor([1, 4])
    _, maps = ClassMaps(model, 64, torch.device("cpu"))(images, labels)
    gpu = torch.device("cuda:0")
    _, found = ClassMaps(copy.deepcopy(model).to(gpu), 64, gpu)(images.to(gpu), labels.to(gpu))
    torch.testing.assert_close(found.cpu(), maps, rtol=0.02, atol=0.02 * maps.abs().max().item())


@pytest.mark.gpu
@pytest.mark.parametrize("fused", [True, False])
def test_memory_does_not_grow(photo_folder, fused):
    loader = imagenet.train(photo_folder, batch_size=8, size=64, device="cuda:0", fused=fused)

    def used_after(epochs):
        for _ in range(epochs):
            for _ in loader:
                pass
        gc.collect()
        torch.cuda.synchronize()
        return torch.cuda.memory_allocated()  # of this process: others may use the GPU as well

    before = used_after(20)
    assert used_after(60) - before < 2**20
    assert len(loader._keep_alive) <= MOST_AHEAD


@pytest.mark.gpu
def test_a_bad_file_is_named_on_the_gpu(photo_folder, tmp_path):
    import shutil

    root = shutil.copytree(photo_folder, tmp_path / "photos")
    bad = sorted(root.rglob("*.jpg"))[13]
    bad.write_text("this is no picture\n" * 20)
    with pytest.raises(RuntimeError) as caught:
        for _ in imagenet.val(root, batch_size=8, size=16, resize=16, device="cuda:0"):
            pass
    assert str(bad) in str(caught.value)


def loader_over_a_bad_file(folder, kind, what, on_error):
    for i in range(16):
        save(np.full((48, 48, 3), 10 * i, np.uint8), folder / "a" / f"{i:02d}.jpg")
    BAD[what](folder / "a" / "05.jpg")
    options = {"batch_size": 4, "size": 16, "device": "cuda:0", "on_error": on_error, "max_bad": 0.1}
    options["bad_log"] = folder / "bad.jsonl"
    if kind == "val":
        return imagenet.val(folder, resize=16, **options)
    return imagenet.train(folder, scale=(1, 1), ratio=(0.01, 100), fused=kind == "fused", **options)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["val", "fused", "unfused"])
def test_data_that_are_cut_off_are_named_or_delivered_and_cost_no_other_sample(tmp_path, kind):
    """A GPU's JPEG engine looks at headers only before it decodes, and may decode what is cut off without an error.

    ``python -m dali_cutmix.check`` decodes on the CPU and finds such files.
    """

    def delivered():
        try:
            return sum(len(images) for images, _ in loader_over_a_bad_file(tmp_path, kind, "data", "raise"))
        except dc.DecodeError as error:
            return str(error)

    found = delivered()
    assert found == 16 or "05.jpg (" in str(found)
    batches = list(loader_over_a_bad_file(tmp_path, kind, "data", "replace"))
    assert sum(len(images) for images, _ in batches) == 16
    assert all(images.isfinite().all() for images, _ in batches)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["val", "fused", "unfused"])
@pytest.mark.parametrize("what", ["text", "header", "empty", "bomb"])
def test_bad_files_are_named_and_replaced_on_a_gpu_too(tmp_path, kind, what):
    def make(on_error):
        return loader_over_a_bad_file(tmp_path, kind, what, on_error)

    with pytest.raises(dc.DecodeError, match=r"05\.jpg \("):
        list(make("raise"))
    assert sum(len(images) for images, _ in make("replace")) == 16
    assert "05.jpg" in (tmp_path / "bad.jsonl").read_text()

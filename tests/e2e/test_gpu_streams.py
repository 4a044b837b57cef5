"""On a GPU: batches reach the consumer without a wait, and are never overwritten while they are in use."""

import gc
import itertools

import pytest
import torch
from nvidia.dali import pipeline_def

import dali_cutmix as dc
from dali_cutmix.gpu.keep_alive import MOST_AHEAD
from pipelines import imagenet
from tests.helpers.gpu import busy


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
    assert len(loader._producer._keep_alive) <= MOST_AHEAD

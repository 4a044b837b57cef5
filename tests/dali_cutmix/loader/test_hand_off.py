"""Batches as the consumer gets them: in DALI's own memory, kept as long as they are used, in the format asked for."""

import pytest
import torch
from nvidia.dali import fn, pipeline_def, types

import dali_cutmix as dc
from pipelines import imagenet

OUTPUTS = [("float32", False), ("float32", True), ("float16", False), ("float16", True)]


@pytest.mark.parametrize(("dtype", "channels_last"), OUTPUTS)
def test_a_batch_lies_where_dali_wrote_it(photo_folder, dtype, channels_last, monkeypatch):
    """Every tensor is on DALI's own memory: nothing was copied."""
    addresses = set()
    real = torch.from_dlpack

    def spy(tensor):
        addresses.add(tensor.data_ptr())
        return real(tensor)

    monkeypatch.setattr(torch, "from_dlpack", spy)
    loader = imagenet.train(
        photo_folder,
        batch_size=4,
        size=16,
        device="cpu",
        dtype=dtype,
        channels_last=channels_last,
        fused=False,
    )
    images, targets = next(iter(loader))
    assert {images.data_ptr(), targets.data_ptr()} <= addresses


@pytest.mark.parametrize("executor", [{}, {"exec_dynamic": False}], ids=str)
def test_batches_that_are_kept_stay_as_they_were(photo_folder, executor):
    @pipeline_def(**dc.pipeline_options(4, device="cpu"), **executor)
    def graph():
        jpegs, labels = dc.read_folder(photo_folder)
        images, targets = dc.mix(dc.random_resized_crop(jpegs, 16), labels)
        return dc.normalize(images), targets

    check_kept(dc.Loader(graph()))


def test_finished_batches_that_are_kept_stay_as_they_were(photo_folder, fused):
    check_kept(imagenet.train(photo_folder, batch_size=4, size=16, device="cpu", fused=fused))


def check_kept(loader):
    """Whole batches, single images and views in NumPy are kept while the loader goes on."""
    kept, copies = [], []
    for epoch in range(3):
        for i, (images, targets) in enumerate(loader):
            part = [images, images[1], images[:2].permute(0, 2, 3, 1).numpy()][(epoch + i) % 3]
            kept.append((part, targets))
            copies.append((torch.as_tensor(part).clone(), targets.clone()))
    for (part, targets), (part_then, targets_then) in zip(kept, copies, strict=True):
        assert torch.equal(torch.as_tensor(part), part_then)
        assert torch.equal(targets, targets_then)
    assert len({copy.numpy().tobytes() for copy, _ in copies}) == len(copies), "the batches differ"


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", torch.float32, torch.float16, torch.bfloat16])
def test_dtype_and_channels_last_change_the_format_and_not_the_images(photo_folder, dtype, fused):
    def batch(**output):
        loader = imagenet.train(photo_folder, batch_size=4, size=16, device="cpu", fused=fused, **output)
        return next(iter(loader))

    expected, expected_targets = batch()
    for channels_last in (False, True):
        images, targets = batch(dtype=dtype, channels_last=channels_last)
        assert images.dtype == (getattr(torch, dtype) if isinstance(dtype, str) else dtype)
        assert images.shape == (4, 3, 16, 16)
        assert images.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
        assert torch.equal(targets, expected_targets)
        assert targets.dtype == torch.float32
        if images.dtype == torch.bfloat16:
            torch.testing.assert_close(images.float(), expected, rtol=2**-8, atol=1e-6)
        else:  # DALI's own rounding to half precision
            torch.testing.assert_close(images.float(), expected, rtol=2**-10, atol=1e-6)
    assert expected.dtype == torch.float32


def test_evaluation_has_the_same_formats(photo_folder):
    images, labels = next(iter(imagenet.val(photo_folder, batch_size=4, size=16, resize=16, device="cpu")))
    other, _ = next(
        iter(
            imagenet.val(
                photo_folder,
                batch_size=4,
                size=16,
                resize=16,
                device="cpu",
                dtype="bfloat16",
                channels_last=True,
            )
        )
    )
    assert images.is_contiguous()
    assert images.dtype == torch.float32
    assert other.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(other, images.bfloat16())
    assert labels.dtype == torch.int64


def test_constants_and_numbers_reach_the_consumer_too(numbered_folder):
    """Outputs without a layout are handed on as they are."""

    @pipeline_def(batch_size=2, num_threads=1, device_id=None)
    def graph():
        _, labels = dc.read_folder(numbered_folder(10), shuffle=False)
        return labels, fn.stack(labels, labels + 1), fn.cast(labels, dtype=types.FLOAT)

    labels, pairs, floats = next(iter(dc.Loader(graph())))
    assert labels.tolist() == [0, 1]
    assert pairs.tolist() == [[0, 1], [1, 2]]
    assert floats.tolist() == [0.0, 1.0]


def test_a_cast_of_the_users_own_after_normalize_is_kept(photo_folder):
    @pipeline_def(batch_size=2, num_threads=1, device_id=None)
    def graph():
        jpegs, _ = dc.read_folder(photo_folder)
        images = dc.normalize(dc.random_resized_crop(jpegs, 8), dtype="float16")
        return fn.cast(images, dtype=types.FLOAT), images

    wide, narrow = next(iter(dc.Loader(graph())))
    assert (wide.dtype, narrow.dtype) == (torch.float32, torch.float16)
    assert torch.equal(wide, narrow.float())

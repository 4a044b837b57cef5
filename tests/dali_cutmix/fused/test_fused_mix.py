"""The fused pass in a graph: what a user gets from it, and when it is chosen."""

import pytest
import torch
from nvidia.dali import pipeline_def

import dali_cutmix as dc
from dali_cutmix.fused import cpu
from dali_cutmix.fused.cpu import is_compiled
from pipelines import imagenet

pytestmark = pytest.mark.skipif(not is_compiled(), reason="dali_cutmix was built without a C++ compiler")

LEVEL = 1 / 57.12  # one of 255 levels, after normalization

POLICIES = [dc.CutMix(), dc.Mixup(), dc.Cutout(), dc.OneOf((dc.CutMix(), dc.Mixup(), dc.Cutout(), None)), None]


@pytest.mark.parametrize("mix", POLICIES, ids=lambda mix: type(mix).__name__)
def test_fused_and_unfused_draw_the_same_and_agree_in_pixels(photo_folder, mix):
    options = {"batch_size": 4, "size": 48, "mix": mix, "device": "cpu", "num_threads": 2, "seed": 5}
    fused, unfused = (imagenet.train(photo_folder, fused=fused, **options) for fused in (True, False))
    for (images, targets), (expected, expected_targets) in zip(fused, unfused, strict=True):
        assert torch.equal(targets, expected_targets)
        assert (images - expected).abs().max() < 2 * LEVEL


def test_a_hole_is_exactly_zero(photo_folder):
    loader = imagenet.train(photo_folder, batch_size=4, size=32, mix=dc.Cutout(length=2.0), device="cpu", fused=True)
    images, _ = next(iter(loader))
    assert (images == 0).flatten(1).float().mean(1).min() > 0.9


def test_it_works_in_a_graph_of_ones_own(photo_folder):
    finish = dc.FusedMix(dc.CutMix(), resample=dc.Resample(32), num_classes=7, targets="pairs", flip=0.0)

    @pipeline_def(batch_size=3, num_threads=1, device_id=None, seed=1)
    def graph():
        jpegs, labels = dc.read_folder(photo_folder)
        return finish.inputs(dc.random_crop(jpegs), labels)

    loader = dc.Loader(graph(), finish=finish)
    for images, labels, lam in loader:
        assert images.shape == (3, 3, 32, 32)
        assert (labels.shape, labels.dtype) == ((3, 2), torch.int64)
        assert (lam.shape, lam.dtype) == ((3,), torch.float32)


def test_the_graph_of_a_machine_without_the_compiled_part_is_the_unfused_one(photo_folder, monkeypatch):
    monkeypatch.setattr(cpu, "_library", lambda: None)
    images, _ = next(iter(imagenet.train(photo_folder, batch_size=2, size=16, device="cpu")))
    assert images.shape == (2, 3, 16, 16)
    with pytest.raises(ValueError, match="fused=True given, but .* without its compiled part.*Reinstall"):
        imagenet.train(photo_folder, batch_size=2, size=16, device="cpu", fused=True)


@pytest.mark.parametrize(("device_id", "fused", "chosen"), [(None, None, True), (0, None, True), (0, False, False)])
def test_it_is_the_default_wherever_it_can_be(device_id, fused, chosen):
    assert dc.can_fuse(device_id, fused) is chosen

"""mean and std mean the same and are refused alike wherever they are arguments, before anything is read."""

import pytest
import torch
from nvidia.dali import pipeline_def

import dali_cutmix as dc
from dali_cutmix.fused.cpu import is_compiled
from pipelines import captions, cifar, cub, faster_rcnn, imagenet, ssd
from tests.helpers.training import ALONE
from train.config import RunConfig
from train.evaluation.ood_scores import noise
from train.evaluation.perturbations import fgsm

UNREAD = "a path that is never opened"


def normalize(**levels):
    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def graph():
        return dc.normalize(None, **levels)

    graph()


images = torch.zeros(1, 3, 2, 2)
TAKERS = {
    "normalize": normalize,
    "Resample": lambda **levels: dc.Resample(8, **levels),
    "split_options": lambda **levels: dc.split_options(levels, batch_size=1, device="cpu"),
    "imagenet.train": lambda **levels: imagenet.train(UNREAD, device="cpu", **levels),
    "imagenet.val": lambda **levels: imagenet.val(UNREAD, device="cpu", **levels),
    "cifar.train": lambda **levels: cifar.train(UNREAD, device="cpu", **levels),
    "cub.train": lambda **levels: cub.train(UNREAD, device="cpu", **levels),
    "ssd.train": lambda **levels: ssd.train(None, device="cpu", **levels),
    "ssd.val": lambda **levels: ssd.val(None, device="cpu", **levels),
    "faster_rcnn.train": lambda **levels: faster_rcnn.train(None, device="cpu", **levels),
    "faster_rcnn.val": lambda **levels: faster_rcnn.val(None, device="cpu", **levels),
    "captions.train": lambda **levels: captions.train(None, None, device="cpu", **levels),
    "captions.val": lambda **levels: captions.val(None, device="cpu", **levels),
    "train": lambda **levels: RunConfig("recipe", **levels),
    "fgsm": lambda **levels: fgsm(images, images, 0.1, **levels),
    "noise": lambda **levels: next(noise("uniform", 1, 2, 1, ALONE, **levels)),
}
MEAN = (120.0, 110.0, 100.0)
REFUSED = {
    "two values": ({"mean": (120.0, 110.0), "std": MEAN}, r"mean(=| ).* given; it is one finite number"),
    "no number": ({"mean": MEAN, "std": (1.0, 2.0, float("nan"))}, r"std(=| ).* given; it is one finite number"),
    "zero": ({"mean": MEAN, "std": (1.0, 0.0, 1.0)}, r"std(=| ).* given; .* above 0 in each channel"),
    "for 0 to 1": ({"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2)}, r"Multiply both by 255: .*127\.5.*51\.0"),
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("refused", REFUSED)
def test_they_are_refused_before_anything_is_read(taker, refused):
    levels, told = REFUSED[refused]
    with pytest.raises(ValueError, match=told):
        TAKERS[taker](**levels)


@pytest.mark.parametrize("path", [False, True], ids=["dali", "fused"])
@pytest.mark.parametrize("one", [{"mean": 100, "std": 50}, {"mean": (100,), "std": [50.0]}], ids=repr)
def test_one_value_means_all_channels_on_either_path(photo_folder, path, one):
    if path and not is_compiled():
        pytest.skip("dali_cutmix was built without a C++ compiler")
    options = {"batch_size": 4, "size": 16, "device": "cpu", "num_threads": 1, "fused": path}
    three = {"mean": torch.tensor([100, 100, 100]), "std": (50, 50, 50)}
    loaders = (imagenet.train(photo_folder, **options, **levels) for levels in (one, three))
    for (ours, _), (expected, _) in zip(*loaders, strict=True):
        assert torch.equal(ours, expected)
        assert expected.std((0, 2, 3)).min() > 0.1, "no channel is empty"


def test_levels_do_not_change_what_a_state_is_bound_to(photo_folder, fused):
    def make(**levels):
        return imagenet.train(photo_folder, batch_size=4, size=8, device="cpu", fused=fused, **levels)

    assert make().state_dict()["binding"] == make(mean=100, std=50).state_dict()["binding"]


def test_ssds_canvas_has_one_mean_in_all_channels(photo_folder):
    cat = dc.detection.Object("", "", 0, (8, 4, 60, 50), False)
    entries = [dc.detection.Entry("", path, None, [cat]) for path in sorted(photo_folder.glob("*/*.jpg"))[:4]]
    annotated = dc.detection.annotate(("cat",), entries)
    options = {"batch_size": 2, "device": "cpu", "num_threads": 1, "zoom_out": 1, "distort": 0, "std": 1}
    for (one, *_), (three, *_) in zip(
        ssd.train(annotated, **options, mean=90), ssd.train(annotated, **options, mean=(90, 90, 90)), strict=True
    ):
        assert torch.equal(one, three)
        assert ((one == 0).all(1)).any()

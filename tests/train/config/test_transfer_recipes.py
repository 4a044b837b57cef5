"""Recipes and options of fine-tuning: the papers' values, the small versions, what is refused before training."""

from dataclasses import replace

import pytest

from tests.helpers.fine_tuning import KINDS, quickly
from train.cli import parse
from train.recipes import EMBEDDED, RECIPES
from train.tasks.captioning.data import open_captioned
from train.tasks.detection.data import open_annotated


def test_the_papers_recipes():
    ssd, faster, nic = (RECIPES[name]() for name in KINDS)
    assert (ssd.detector, ssd.model, ssd.size, ssd.batch_size, ssd.lr) == ("ssd", "resnet50", 300, 32, 0.001)
    assert (ssd.iterations, ssd.milestones) == (120_000, (80_000, 100_000))
    assert (faster.detector, faster.model, faster.batch_size, faster.lr) == ("faster-rcnn", "resnet50", 8, 0.01)
    assert (faster.iterations, faster.milestones, faster.short_side, faster.long_side) == (
        120_000,
        (100_000,),
        600,
        1000,
    )
    assert (faster.weight_decay, faster.regions, faster.proposals) == (1e-4, 256, (2000, 300))
    assert (faster.freeze_norm, faster.momentum, faster.nesterov) == (True, 0.9, False)
    assert (ssd.weight_decay, ssd.momentum, ssd.nesterov, ssd.freeze_norm) == (5e-4, 0.9, False, False)
    assert (nic.dropout, nic.weight_decay) == (0.1, 0)
    assert (nic.model, nic.batch_size, nic.lr, nic.epochs, nic.beam, nic.hidden) == (
        "resnet50",
        20,
        0.001,
        100,
        20,
        512,
    )
    assert (nic.optimizer, nic.fine_tune, nic.size, nic.resize) == ("adam", False, 224, 256)


def test_small_recipes_keep_their_own_values():
    ssd, faster, nic = (EMBEDDED[name]() for name in KINDS)
    assert ssd.weight_decay == faster.weight_decay == 5e-4
    assert (faster.regions, faster.freeze_norm, nic.dropout) == (24, False, 0)


def test_embedded_is_the_recipes_small_version():
    for name in KINDS:
        assert parse([name, "--embedded", "--seed", "3"]) == replace(EMBEDDED[name](), seed=3)
        assert EMBEDDED[name]().recipe == name


@pytest.mark.parametrize("arguments", [["--embedded"], ["imagenet-resnet50", "--embedded"]])
def test_embedded_goes_with_recipes_that_have_a_small_version(arguments):
    with pytest.raises(
        ValueError, match="--embedded given; it is only for new runs of voc-ssd300, voc-faster-rcnn, coco"
    ):
        parse(arguments)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("voc-ssd300", {"detector": "yolo"}, "--detector 'yolo' given; allowed are ssd and faster-rcnn"),
        ("voc-ssd300", {"size": 0}, "--size 0 given; it must be above 0"),
        (
            "voc-ssd300",
            {"size": 16},
            "--size 16 given; it must be at least 17; smaller images have too few feature maps",
        ),
        ("voc-ssd300", {"std": (0, 1, 1)}, "--std 0 1 1 given; .* above 0 in each channel"),
        ("coco-nic", {"std": (1, 1, -1)}, "--std 1 1 -1 given; .* above 0 in each channel"),
        ("voc-ssd300", {"compile": True}, "--compile given; only classifiers can be compiled, so leave it out"),
        ("coco-nic", {"compile": True}, "--compile given; only classifiers can be compiled, so leave it out"),
        ("coco-nic", {"max_length": 0}, "--max-length 0 given; it must be above 0"),
        ("voc-ssd300", {"flip": 2}, "--flip 2 given; it must be 0 to 1, a probability"),
        ("voc-faster-rcnn", {"proposals": (0, 3)}, "--proposals 0 given; it must be above 0"),
        ("voc-faster-rcnn", {"regions": 0}, "--regions 0 given; it must be above 0"),
        ("coco-nic", {"resize": 40}, "--resize 40 is smaller than --size 48; make it at least as large"),
        ("coco-nic", {"beam": 0}, "--beam 0 given; it must be above 0"),
        ("coco-nic", {"dropout": 1}, "--dropout 1 given; it must be at least 0 and below 1"),
        ("coco-nic", {"optimizer": "lamb"}, "--optimizer 'lamb' given; allowed are sgd and adam"),
        ("coco-nic", {"val_every": 0}, "--val-every 0 given; it must be above 0"),
    ],
)
def test_wrong_values_are_refused(tmp_path, name, changes, message):
    with pytest.raises(ValueError, match=message):
        quickly(name, tmp_path, tmp_path, **changes)


def test_data_of_another_layout_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither VOC's layout .* nor COCO's \(annotations/instances_"):
        open_annotated(tmp_path, "train")
    with pytest.raises(FileNotFoundError, match="captions"):
        open_captioned(tmp_path, "train")

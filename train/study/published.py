"""The paper's published numbers, in percent, by recipe and method.

Tables A1 and A2 are from the supplement; errors, localization and detection from the main paper, as its authors list
them at github.com/clovaai/CutMix-PyTorch.
"""

from __future__ import annotations

from typing import Literal

Method = Literal["none", "mixup", "cutout", "cutmix"]
METHODS: tuple[Method, ...] = ("none", "mixup", "cutout", "cutmix")


def _by_method(*values: float) -> dict[str, float]:
    return dict(zip(METHODS, values, strict=True))


MEASURED_ON = {
    "imagenet-resnet50": "ImageNet, ResNet-50",
    "cifar100-pyramidnet200": "CIFAR-100, PyramidNet-200",
    "cub200-resnet50": "CUB-200-2011, ResNet-50",
    "imagenet-wsol-resnet50": "ImageNet, ResNet-50",
    "voc-ssd300": "VOC07+12, SSD300 on ResNet-50 of ImageNet",
    "voc-faster-rcnn": "VOC07+12, Faster R-CNN on ResNet-50 of ImageNet",
    "coco-nic": "COCO, NIC on ResNet-50 of ImageNet",
}
"""Data and model of the numbers below, by recipe."""

TOP1_ERROR: dict[str, dict[str, float]] = {
    "imagenet-resnet50": _by_method(23.68, 22.58, 22.93, 21.40),
    "cifar100-pyramidnet200": _by_method(16.45, 15.63, 16.53, 14.47),
}
"""Top-1 error by recipe and method."""

TOP1_LOC: dict[str, dict[str, float]] = {
    "cub200-resnet50": _by_method(49.41, 49.3, 52.78, 54.81),
    "imagenet-wsol-resnet50": _by_method(46.3, 45.84, 46.69, 46.25),
}
"""Top-1 localization accuracy by recipe and method."""

TRANSFER: dict[str, dict[str, dict[str, float]]] = {
    "voc-ssd300": {"map07": _by_method(76.7, 76.6, 76.8, 77.6)},
    "voc-faster-rcnn": {"map07": _by_method(75.6, 73.9, 75.0, 76.7)},
    "coco-nic": {
        "bleu1": _by_method(61.4, 61.6, 63.0, 64.2),
        "bleu2": _by_method(43.8, 44.1, 45.3, 46.3),
        "bleu3": _by_method(31.4, 31.6, 32.6, 33.6),
        "bleu4": _by_method(22.9, 23.2, 24.0, 24.9),
        "meteor": _by_method(22.8, 22.9, 22.6, 23.1),
        "rouge_l": _by_method(44.7, 47.9, 48.2, 49.0),
        "cider": _by_method(71.2, 72.2, 74.1, 77.6),
    },
}
"""Metrics of transfer by recipe, metric and method; captioning is Table A1."""

OUT_OF_DISTRIBUTION: dict[str, dict[str, tuple[float, float, float]]] = {
    "tinyimagenet-crop": {
        "none": (43.0, 88.9, 81.3),
        "mixup": (22.6, 71.6, 69.8),
        "cutout": (30.5, 85.6, 79.0),
        "cutmix": (57.1, 92.4, 85.0),
    },
    "tinyimagenet-resize": {
        "none": (29.8, 84.2, 77.0),
        "mixup": (12.3, 56.8, 61.0),
        "cutout": (22.0, 82.8, 77.1),
        "cutmix": (55.4, 91.9, 84.5),
    },
    "lsun-crop": {
        "none": (34.6, 86.5, 79.5),
        "mixup": (22.9, 76.3, 72.3),
        "cutout": (33.2, 85.7, 78.5),
        "cutmix": (47.6, 90.3, 82.8),
    },
    "lsun-resize": {
        "none": (34.3, 86.4, 79.0),
        "mixup": (13.0, 59.0, 61.8),
        "cutout": (23.7, 84.0, 78.4),
        "cutmix": (62.8, 93.7, 86.7),
    },
    "isun": {
        "none": (32.0, 85.1, 77.8),
        "mixup": (11.8, 57.0, 61.0),
        "cutout": (22.2, 82.8, 76.8),
        "cutmix": (60.1, 93.0, 85.7),
    },
    "uniform": {
        "none": (0.0, 89.2, 89.2),
        "mixup": (0.0, 0.8, 50.0),
        "cutout": (0.0, 35.6, 59.1),
        "cutmix": (100.0, 99.8, 99.7),
    },
    "gaussian": {
        "none": (10.4, 90.7, 89.9),
        "mixup": (0.0, 23.4, 50.5),
        "cutout": (0.0, 24.3, 50.0),
        "cutmix": (100.0, 99.7, 99.0),
    },
}
"""Table A2: TNR at TPR 95 %, AUROC and detection accuracy by set and method."""
OUT_OF_DISTRIBUTION_RECIPE = "cifar100-pyramidnet200"
"""Recipe of the classifiers of Table A2."""
TRANSFER_RECIPE = "imagenet-resnet50"
"""Recipe of the classifiers that the paper fine-tuned."""

"""The configuration of a detector's training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from train.config.run import RunConfig, check, choose


@dataclass(frozen=True)
class DetectionConfig(RunConfig):
    """A detector's training run.

    Raises:
        ValueError: a value is not allowed.
    """

    data: Path | None = None
    """VOCdevkit with VOC2007 and VOC2012 (or one of them), or a folder in COCO's layout; if not given, embedded scenes
    of digits, generated on first use."""
    model: str = "resnet50"
    """The ResNet backbone: resnet10 (small), resnet18, resnet50, …"""
    detector: Literal["ssd", "faster-rcnn"] = "ssd"
    """The detector: SSD or Faster R-CNN."""
    backbone: Path | None = None
    """Weights of the ResNet: a classifier's checkpoint or run folder of this trainer, or a file of torchvision
    weights; random if not given."""
    freeze_norm: bool = False
    """Do not train the ResNet's batch norm; Faster R-CNN: nor its first layers."""
    size: int = 300
    """SSD: side of the images, in pixels; at least 17."""
    short_side: int = 600
    """Faster R-CNN: shorter side of the images, in pixels."""
    long_side: int = 1000
    """Faster R-CNN: maximum of the longer side, in pixels."""
    proposals: tuple[int, int] = (2000, 300)
    """Faster R-CNN: region proposals per image, in training and in evaluation."""
    regions: int = 128
    """Faster R-CNN: how many of the proposals per image are trained on."""
    distort: float = 0.5
    """SSD: probability of each colour distortion."""
    zoom_out: float = 0.5
    """SSD: probability that an image is placed on a larger canvas."""

    def __post_init__(self) -> None:
        super().__post_init__()
        choose("detector", self.detector, ("ssd", "faster-rcnn"))
        for value in self.proposals:
            check("proposals", value, value > 0, "above 0")
        for name in ("size", "short_side", "long_side", "regions"):
            check(name, getattr(self, name), getattr(self, name) > 0, "above 0")
        if self.detector == "ssd":
            check("size", self.size, self.size >= 17, "at least 17; smaller images have too few feature maps")
        for name in ("distort", "zoom_out"):
            check(name, getattr(self, name), 0 <= getattr(self, name) <= 1, "0 to 1, a probability")
        if self.compile:
            raise ValueError("--compile given; only classifiers can be compiled, so leave it out.")

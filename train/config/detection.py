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
        ValueError: a value is outside what is allowed.
    """

    data: Path | None = None
    """VOCdevkit with VOC2007 and VOC2012 (or one of them), or a folder in COCO's layout; embedded scenes of digits if
    not given."""
    model: str = "resnet50"
    """The ResNet beneath: resnet10 (small), resnet18, resnet50, …"""
    detector: Literal["ssd", "faster-rcnn"] = "ssd"
    """SSD, or Faster R-CNN."""
    backbone: Path | None = None
    """Weights of the ResNet: a classifier's checkpoint or run folder of this trainer, or a file of torchvision's;
    random ones if not given."""
    freeze_norm: bool = False
    """Keep the ResNet's batch norm as its weights have it; Faster R-CNN: its first layers, too."""
    size: int = 300
    """SSD: side of the images, pixels, at least 17."""
    short_side: int = 600
    """Faster R-CNN: shorter side of the images, pixels."""
    long_side: int = 1000
    """Faster R-CNN: longer side at most, pixels."""
    proposals: tuple[int, int] = (2000, 300)
    """Faster R-CNN: regions that are proposed for an image, in training and in evaluation."""
    regions: int = 128
    """Faster R-CNN: of these, how many of an image are trained on."""
    distort: float = 0.5
    """SSD: chance of each distortion of colours."""
    zoom_out: float = 0.5
    """SSD: chance that an image is put on a larger canvas."""

    def __post_init__(self) -> None:
        super().__post_init__()
        choose("detector", self.detector, ("ssd", "faster-rcnn"))
        for value in self.proposals:
            check("proposals", value, value > 0, "above 0")
        for name in ("size", "short_side", "long_side", "regions"):
            check(name, getattr(self, name), getattr(self, name) > 0, "above 0")
        if self.detector == "ssd":
            check("size", self.size, self.size >= 17, "at least 17, else the maps are too few for default boxes")
        for name in ("distort", "zoom_out"):
            check(name, getattr(self, name), 0 <= getattr(self, name) <= 1, "0 to 1, a chance")
        if self.compile:
            raise ValueError("--compile given; it is for classifiers only, so leave it out.")

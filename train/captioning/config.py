"""The configuration of a captioner's training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import dali_cutmix as dc
from train.run_config import RunConfig, check


@dataclass(frozen=True)
class CaptioningConfig(RunConfig):
    """A captioner's training run.

    Raises:
        ValueError: a value is outside what is allowed.
    """

    data: Path | None = None
    """Folder in COCO's layout, with annotations/captions_*.json; embedded scenes of digits if not given."""
    model: str = "resnet50"
    """The ResNet that sees: resnet10 (small), resnet18, resnet50, …"""
    backbone: Path | None = None
    """Weights of the ResNet: a classifier's checkpoint or run folder of this trainer, or a file of torchvision's;
    random ones if not given."""
    fine_tune: bool = False
    """Train the ResNet too."""
    size: int = 224
    """Side of the images, pixels."""
    resize: int = 256
    """Images are stretched to this many pixels squared and cropped: at random for training, the centre otherwise."""
    flip: float = 0.5
    """Chance of a horizontal flip."""
    hidden: int = 512
    """Width of the embedding and of the LSTM."""
    dropout: float = 0.0
    """Of the LSTM's output."""
    min_count: int = 5
    """Words that are rarer in the training captions are unknown ones."""
    beam: int = 20
    """Width of the beam search that writes captions."""
    max_length: int = 20
    """Words of a caption at most."""
    mean: tuple[float, float, float] = dc.IMAGENET_MEAN
    """Of the pixels for red, green and blue, in levels of 255; as the backbone was trained with."""
    std: tuple[float, float, float] = dc.IMAGENET_STD
    """Standard deviation of the pixels, in levels of 255."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("size", "resize", "hidden", "min_count", "beam", "max_length"):
            check(name, getattr(self, name), getattr(self, name) > 0, "above 0")
        for levels in self.std:
            check("std", levels, levels > 0, "above 0")
        check("flip", self.flip, 0 <= self.flip <= 1, "0 to 1, a chance")
        check("dropout", self.dropout, 0 <= self.dropout < 1, "at least 0 and below 1")
        if self.compile:
            raise ValueError("--compile given; it is for classifiers only, so leave it out.")
        if self.resize < self.size:
            raise ValueError(f"--resize {self.resize} is smaller than --size {self.size}; give at least that much.")

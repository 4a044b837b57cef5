"""The configuration of a captioner's training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from train.config.run import RunConfig, check


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

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("size", "resize", "hidden", "min_count", "beam", "max_length"):
            check(name, getattr(self, name), getattr(self, name) > 0, "above 0")
        check("dropout", self.dropout, 0 <= self.dropout < 1, "at least 0 and below 1")
        if self.compile:
            raise ValueError("--compile given; it is for classifiers only, so leave it out.")
        if self.resize < self.size:
            raise ValueError(f"--resize {self.resize} is smaller than --size {self.size}; give at least that much.")

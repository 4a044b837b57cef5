"""The configuration of a captioner's training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from train.config.run import RunConfig, check


@dataclass(frozen=True)
class CaptioningConfig(RunConfig):
    """A captioner's training run.

    Raises:
        ValueError: a value is not allowed.
    """

    data: Path | None = None
    """Folder in COCO's layout, with annotations/captions_*.json; if not given, embedded scenes of digits, generated on
    first use."""
    model: str = "resnet50"
    """The ResNet that encodes the image: resnet10 (small), resnet18, resnet50, …"""
    backbone: Path | None = None
    """Weights of the ResNet: a classifier's checkpoint or run folder of this trainer, or a file of torchvision
    weights; random if not given."""
    fine_tune: bool = False
    """Train the ResNet as well."""
    size: int = 224
    """Side of the images, in pixels."""
    resize: int = 256
    """Images are stretched to a square of this side, in pixels, and cropped: randomly for training, centrally for
    validation."""
    hidden: int = 512
    """Width of the word embedding and of the LSTM."""
    dropout: float = 0.0
    """Dropout of the LSTM's output."""
    min_count: int = 5
    """Words that occur less often in the training captions become the unknown word."""
    beam: int = 20
    """Beam width for generating captions."""
    max_length: int = 20
    """Maximum number of words of a caption."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("size", "resize", "hidden", "min_count", "beam", "max_length"):
            check(name, getattr(self, name), getattr(self, name) > 0, "above 0")
        check("dropout", self.dropout, 0 <= self.dropout < 1, "at least 0 and below 1")
        if self.compile:
            raise ValueError("--compile given; only classifiers can be compiled, so leave it out.")
        if self.resize < self.size:
            raise ValueError(f"--resize {self.resize} is smaller than --size {self.size}; make it at least as large.")

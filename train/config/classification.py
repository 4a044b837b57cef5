"""The configuration of a classifier's training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import dali_cutmix as dc
from train.config.run import RunConfig, check, choose


@dataclass(frozen=True)
class Config(RunConfig):
    """A classifier's training run.

    Raises:
        ValueError: a value is outside what is allowed.
    """

    data: Path | None = None
    """Folder with train/ and val/, each with one folder for each class; the folder CUB_200_2011; an archive of CIFAR;
    the embedded digits if not given."""
    model: str = "resnet50"
    """resnet10 (small), pyramidnet200, resnet50_wsol, vgg16_gap, or any classifier of torchvision."""
    size: int = 224
    """Side of the images that the model sees, pixels."""
    val_size: int | None = None
    """The same for validation; --size if not given."""
    val_resize: int = 256
    """Validation resizes the short side to this many pixels (stretch-crop: both sides), then crops the centre."""
    augment: Literal["resized-crop", "stretch-crop", "pad-crop"] = "resized-crop"
    """The random crop of training: of --scale and --ratio, resized; of the image stretched to --val-resize squared; or
    of the image with --padding around it, not resized."""
    scale: tuple[float, float] = (0.08, 1.0)
    """Range of the random crop's area over the image's area."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Range of the random crop's width over height."""
    padding: int = 4
    """With pad-crop: black pixels on each side."""

    # Mixing
    mix: Literal["cutmix", "mixup", "cutout", "none"] = "cutmix"
    """How to mix images and targets."""
    alpha: float = 1.0
    """CutMix and Mixup: lambda ~ Beta(alpha, alpha); 1 is uniform."""
    mix_probability: float = 1.0
    """Chance that a batch is mixed."""
    cutout_length: float = 0.5
    """Cutout: side of the hole over the side of the image."""
    targets: Literal["dense", "pairs"] = "dense"
    """Dense N×K targets, or pairs of labels with lambda: the same loss, less memory for many classes."""

    # Model
    init: Path | None = None
    """Weights to start from, all but the last layer's: a checkpoint or run folder of this trainer, or a file of
    torchvision's weights; random ones if not given."""
    last_layer_lr: float = 1.0
    """The last layer's learning rate, in multiples of that of the others."""
    label_smoothing: float = 0.0
    """Share of the target that is spread over all classes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.policy()  # refuses a wrong alpha, probability or length in the library's own words
        for name in ("size", "val_resize"):
            check(name, getattr(self, name), getattr(self, name) > 0, "above 0")
        if self.val_size is not None:
            check("val_size", self.val_size, self.val_size > 0, "above 0")
        check("last_layer_lr", self.last_layer_lr, self.last_layer_lr > 0, "above 0")
        check("padding", self.padding, self.padding >= 0, "at least 0")
        check("label_smoothing", self.label_smoothing, 0 <= self.label_smoothing < 1, "at least 0 and below 1")
        choose("augment", self.augment, ("resized-crop", "stretch-crop", "pad-crop"))
        if self.val_resize < self.crop:
            raise ValueError(
                f"--val-resize {self.val_resize} is smaller than the crop that validation takes of it, "
                f"{self.crop}; give at least as much, or a smaller --val-size."
            )

    @property
    def crop(self) -> int:
        """Side of validation's centre crop."""
        return self.val_size or self.size

    @property
    def stretches(self) -> bool:
        """Whether images are stretched to a square, whatever their shape."""
        return self.augment == "stretch-crop"

    def policy(self) -> dc.Policy | None:
        """The mixing policy that these options name."""
        match self.mix:
            case "cutmix":
                return dc.CutMix(self.alpha, self.mix_probability)
            case "mixup":
                return dc.Mixup(self.alpha, self.mix_probability)
            case "cutout":
                return dc.Cutout(self.cutout_length, self.mix_probability)
            case "none":
                return None
            case other:
                raise ValueError(f"--mix {other!r} given; allowed are cutmix, mixup, cutout and none.")

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

    Example::

        >>> config = Config(recipe="digits", model="resnet18", size=64, val_resize=64, alpha=0.5)
        >>> config.policy()
        CutMix(alpha=0.5, probability=1.0, per_sample=False)

    Raises:
        ValueError: a value is not allowed.
    """

    data: Path | None = None
    """Folder with train/ and val/, each with one folder per class; or the folder CUB_200_2011; or an archive of CIFAR.
    If not given, embedded digits, generated on first use."""
    model: str = "resnet50"
    """resnet10 (small), pyramidnet200, resnet50_wsol, vgg16_gap, or any classifier of torchvision."""
    size: int = 224
    """Side of the training images, in pixels."""
    val_size: int | None = None
    """Side of the validation images, in pixels; --size if not given."""
    val_resize: int = 256
    """Validation resizes the shorter side to this many pixels (stretch-crop: both sides), then crops the centre."""
    augment: Literal["resized-crop", "stretch-crop", "pad-crop"] = "resized-crop"
    """Random crop of the training images. resized-crop: a region by --scale and --ratio, resized to --size.
    stretch-crop: the image is stretched to a square of --val-resize pixels, then cropped. pad-crop: the image is padded
    by --padding, then cropped, not resized."""
    scale: tuple[float, float] = (0.08, 1.0)
    """resized-crop: range of the crop's area as a fraction of the image's area."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """resized-crop: range of the crop's aspect ratio, width over height."""
    padding: int = 4
    """pad-crop: black pixels added on each side."""

    # Mixing
    mix: Literal["cutmix", "mixup", "cutout", "none"] = "cutmix"
    """How to mix images and targets."""
    alpha: float = 1.0
    """CutMix and Mixup: lambda ~ Beta(alpha, alpha); 1 is uniform."""
    mix_probability: float = 1.0
    """Probability that a batch is mixed."""
    cutout_length: float = 0.5
    """Cutout: side of the hole as a fraction of the image's side."""
    targets: Literal["dense", "pairs"] = "dense"
    """Dense N×K targets, or pairs of labels with lambda: the same loss, but less memory for many classes."""

    # Model
    init: Path | None = None
    """Initial weights, used for all layers except the last: a checkpoint or run folder of this trainer, or a file of
    torchvision weights; random if not given."""
    last_layer_lr: float = 1.0
    """Learning rate of the last layer, as a multiple of --lr."""
    label_smoothing: float = 0.0
    """Fraction of the target that is spread over all classes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.policy()  # the library checks alpha, probability and length
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
                f"--val-resize {self.val_resize} is smaller than the validation crop of {self.crop} pixels; make it at "
                "least as large, or give a smaller --val-size."
            )

    @property
    def crop(self) -> int:
        """Side of the centre crop in validation, in pixels."""
        return self.val_size or self.size

    @property
    def stretches(self) -> bool:
        """Whether images are stretched to a square, whatever their aspect ratio."""
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

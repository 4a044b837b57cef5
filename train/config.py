"""One frozen dataclass holds all that a run depends on; the command line, checkpoints and recipes share it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

import dali_cutmix as dc


@dataclass(frozen=True)
class Config:
    """A training run. Defaults are plain ones; recipes (`train.recipes`) set what a paper prescribes.

    Raises:
        ValueError: a value is outside what is allowed.
    """

    recipe: Annotated[str, tyro.conf.Fixed]
    """Name of the recipe that these options started from."""

    # Data
    data: Path | None = None
    """Folder with train/ and val/, each with one folder for each class; the folder CUB_200_2011; an archive of CIFAR;
    the embedded digits if not given."""
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
    flip: float = 0.5
    """Chance of a horizontal flip."""
    mean: tuple[float, float, float] = dc.IMAGENET_MEAN
    """Of the pixels for red, green and blue, in levels of 255; the model sees (pixel - mean) / std."""
    std: tuple[float, float, float] = dc.IMAGENET_STD
    """Standard deviation of the pixels, in levels of 255."""
    batch_size: int = 256
    """Images in one step over all processes; also in one step of validation."""
    on_error: Literal["raise", "replace"] = "raise"
    """A training image that cannot be decoded: end the run, or replace it by another (see bad_files.jsonl in the run's
    folder). Validation always ends."""
    max_bad: float = 0.01
    """With on-error replace: share of the training images that may be bad; with more the run ends."""

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

    # Model and optimization
    model: str = "resnet50"
    """resnet10 (small), pyramidnet200, resnet50_wsol, vgg16_gap, or any classifier of torchvision."""
    init: Path | None = None
    """Weights to start from, all but the last layer's: a checkpoint or run folder of this trainer, or a file of
    torchvision's weights; random ones if not given."""
    epochs: int = 300
    """Passes over the training data."""
    lr: float = 0.1
    """Peak learning rate, for --batch-size as given."""
    schedule: Literal["step", "cosine"] = "step"
    """Step: a tenth at each of --milestones. Cosine: down to zero."""
    milestones: tuple[float, ...] = (75, 150, 225)
    """Epochs at which the step schedule divides the learning rate by ten."""
    warmup_epochs: float = 0.0
    """Epochs of linear warm-up, part of --epochs."""
    last_layer_lr: float = 1.0
    """The last layer's learning rate, in multiples of that of the others."""
    momentum: float = 0.9
    """Nesterov momentum."""
    weight_decay: float = 1e-4
    """L2 penalty on all parameters."""
    label_smoothing: float = 0.0
    """Share of the target that is spread over all classes."""
    ema: float = 0.0
    """Decay per step of an exponential moving average of the weights, e.g. 0.9999; 0 switches it off."""

    # Machine
    device: str = "auto"
    """cpu, cuda, cuda:N, or auto: the GPU if there is one."""
    num_threads: int | None = None
    """Threads that decode, for each process; chosen by the loader if not given."""
    cpu_threads: int | None = None
    """Threads for the model's arithmetic on a CPU, for each process; PyTorch's choice if not given."""
    amp: bool = False
    """Compute in bfloat16 where that is safe (autocast)."""
    channels_last: bool = False
    """Keep images and weights in channels_last memory format."""
    compile: bool = False
    """Compile the model with torch.compile."""

    # Run
    seed: int = 0
    """Seed of weights and data order."""
    output_dir: Path | None = None
    """Folder for checkpoints and metrics; runs/RECIPE-TIME if not given."""
    resume: Path | None = None
    """Run folder or checkpoint to continue; its own options hold, those given here must not contradict."""
    log_every: int = 50
    """Steps between two looks at the loss (each waits for the device)."""
    checkpoint_every: int = 0
    """Steps between two checkpoints within an epoch; 0: only at the end of each epoch."""

    def __post_init__(self) -> None:
        self.policy()  # refuses a wrong alpha, probability or length in the library's own words
        for name in ("size", "val_resize", "batch_size", "epochs", "lr", "last_layer_lr", "log_every"):
            _check(name, getattr(self, name), getattr(self, name) > 0, "above 0")
        for name in ("weight_decay", "warmup_epochs", "checkpoint_every", "padding", "seed"):
            _check(name, getattr(self, name), getattr(self, name) >= 0, "at least 0")
        for name in ("num_threads", "cpu_threads", "val_size"):
            if (value := getattr(self, name)) is not None:
                _check(name, value, value > 0, "above 0")
        _check("momentum", self.momentum, 0 < self.momentum < 1, "above 0 and below 1")
        _check("max_bad", self.max_bad, 0 <= self.max_bad <= 1, "0 to 1, a share of the training images")
        for name in ("label_smoothing", "ema"):
            _check(name, getattr(self, name), 0 <= getattr(self, name) < 1, "at least 0 and below 1")
        for value in self.std:
            _check("std", value, value > 0, "above 0")
        if self.augment not in ("resized-crop", "stretch-crop", "pad-crop"):
            raise ValueError(f"--augment {self.augment!r} given; allowed are resized-crop, stretch-crop and pad-crop.")
        if self.schedule not in ("step", "cosine"):
            raise ValueError(f"--schedule {self.schedule!r} given; allowed are step and cosine.")
        if self.val_resize < self.crop:
            raise ValueError(
                f"--val-resize {self.val_resize} is smaller than the crop that validation takes of it, "
                f"{self.crop}; give at least as much, or a smaller --val-size."
            )
        if self.warmup_epochs > self.epochs:
            raise ValueError(
                f"--warmup-epochs {self.warmup_epochs:g} is more than --epochs {self.epochs}; warm-up is part of "
                "the epochs, so give at most as many."
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

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, for checkpoints; `from_dict` reads them back."""
        fields = dataclasses.asdict(self)
        return {name: str(value) if isinstance(value, Path) else value for name, value in fields.items()}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Config:
        """Read what `to_dict` wrote, also by an older version that lacked some options."""
        known = {field.name: field for field in dataclasses.fields(cls)}
        paths = {name: Path(value) for name, value in fields.items() if value is not None and name in PATHS}
        return cls(**{name: value for name, value in (fields | paths).items() if name in known})


PATHS = ("data", "init", "output_dir", "resume")


def _check(name: str, value: float, allowed: bool, rule: str) -> None:
    if not allowed:
        raise ValueError(f"--{name.replace('_', '-')} {value:g} given; it must be {rule}.")

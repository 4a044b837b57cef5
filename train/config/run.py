"""The options that all runs share, and checks of their values."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tyro

import dali_cutmix as dc
from dali_cutmix.utils import check_levels
from train.config.saved_options import check_options

PATHS = ("data", "init", "backbone", "output_dir", "resume")
"""Options that are paths, of all tasks; checkpoints hold them as text."""
LONGEST_TIMEOUT = 7 * 86_400
"""Seconds, a week; PyTorch takes no endless timeout."""
LARGEST_FACTOR = 1e30
"""Limit of what multiplies tensors of 32 bits: PyTorch refuses larger factors in the first step."""
MOST_THREADS = 4096
"""More threads than any machine has; beyond what the system can start, the process would be aborted."""


@dataclass(frozen=True)
class RunConfig:
    """A training run, whatever its task. Its defaults are plain; recipes set what a paper prescribes.

    Each field is an option of ``python -m train``, its docstring is the option's help text.

    Raises:
        ValueError: a value is not allowed.
    """

    recipe: Annotated[str, tyro.conf.Fixed]
    """Name of the recipe that these options started from."""

    # Data
    data: Path | None = None
    """Training and validation data; an embedded data set if not given."""
    batch_size: int = 256
    """Images per step over all processes, in training and in validation."""
    on_error: Literal["raise", "replace"] = "raise"
    """What to do with a training image that cannot be decoded: end the run, or replace it by another image (listed in
    bad_files.jsonl in the run's folder). In validation it always ends the run."""
    max_bad: float = 0.01
    """With --on-error replace: fraction of the training images that may be bad; more of them end the run."""
    retry: float = 60.0
    """Seconds for which reading is tried again while the storage fails; then the run ends, and says what is missing."""
    flip: float = 0.5
    """Probability of a horizontal flip."""
    mean: tuple[float, float, float] = dc.IMAGENET_MEAN
    """Mean of red, green and blue, 0 to 255; the model sees (pixel - mean) / std. With --backbone: use the values that
    the backbone was trained with."""
    std: tuple[float, float, float] = dc.IMAGENET_STD
    """Standard deviation of red, green and blue, 0 to 255."""

    # Model and optimization
    model: str = "resnet50"
    """The network, or its backbone."""
    epochs: int = 300
    """Passes over the training data."""
    iterations: int = 0
    """Steps of the whole run, in place of --epochs; --milestones are then steps as well."""
    optimizer: Literal["sgd", "adam"] = "sgd"
    """SGD with momentum, or Adam."""
    lr: float = 0.1
    """Peak learning rate, for the whole --batch-size."""
    schedule: Literal["step", "cosine"] = "step"
    """step: divide the learning rate by ten at each of --milestones. cosine: decay to zero."""
    milestones: tuple[float, ...] = (75, 150, 225)
    """Epochs (with --iterations: steps) at which the step schedule divides the learning rate by ten."""
    warmup_epochs: float = 0.0
    """Epochs of linear warm-up; they are part of the run."""
    momentum: float = 0.9
    """SGD: momentum."""
    nesterov: bool = True
    """SGD: use Nesterov momentum."""
    weight_decay: float = 1e-4
    """L2 penalty on all parameters."""
    ema: float = 0.0
    """Decay per step of an exponential moving average of the weights, e.g. 0.9999; 0 turns it off."""

    # Machine
    device: str = "auto"
    """cpu, cuda, cuda:N, or auto: the GPU if there is one."""
    num_threads: int | None = None
    """Decoding threads of each process; chosen by the loader if not given."""
    cpu_threads: int | None = None
    """Compute threads of each process on a CPU; chosen by PyTorch if not given."""
    amp: bool = False
    """Compute in bfloat16 where that is safe (autocast)."""
    channels_last: bool = False
    """Keep images and weights in the channels_last memory format."""
    compile: bool = False
    """Compile the model with torch.compile."""

    timeout: float = 600.0
    """Seconds that a process waits for another one, with several of them; then all end, and name who did not come. More
    than they may differ by, as when one of them saves a checkpoint."""

    # Run
    seed: int = 0
    """Seed of the initial weights and of the order of the data."""
    output_dir: Path | None = None
    """Folder for checkpoints and metrics; runs/RECIPE-TIME if not given."""
    resume: Path | None = None
    """Run folder or checkpoint to continue, with the options that it was saved with."""
    log_every: int = 50
    """Steps between two logged values of the loss (each waits for the device)."""
    checkpoint_every: int = 0
    """Steps between two checkpoints within an epoch; 0: only at the end of each epoch."""
    val_every: int = 1
    """Epochs between two validations; the last epoch is always validated."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "lr", "log_every", "val_every"):
            check(name, getattr(self, name), getattr(self, name) > 0, "above 0")
        check_timeout(self.timeout)
        for name in ("lr", "weight_decay"):
            check(name, getattr(self, name), getattr(self, name) < LARGEST_FACTOR, f"below {LARGEST_FACTOR:g}")
        for name in ("iterations", "weight_decay", "warmup_epochs", "checkpoint_every", "seed", "retry"):
            check(name, getattr(self, name), getattr(self, name) >= 0, "at least 0")
        for name in ("num_threads", "cpu_threads"):
            if (value := getattr(self, name)) is not None:
                check(name, value, 0 < value <= MOST_THREADS, f"above 0 and at most {MOST_THREADS}")
        if self.optimizer == "sgd" and self.nesterov:
            check("momentum", self.momentum, 0 < self.momentum < 1, "above 0 and below 1 (0 with --no-nesterov)")
        check("momentum", self.momentum, 0 <= self.momentum < 1, "at least 0 and below 1")
        check("flip", self.flip, 0 <= self.flip <= 1, "0 to 1, a probability")
        check_levels(self.mean, self.std, ("--mean", "--std"))
        check("max_bad", self.max_bad, 0 <= self.max_bad <= 1, "0 to 1, a fraction of the training images")
        check("ema", self.ema, 0 <= self.ema < 1, "at least 0 and below 1")
        choose("schedule", self.schedule, ("step", "cosine"))
        choose("optimizer", self.optimizer, ("sgd", "adam"))
        if not self.iterations and self.warmup_epochs > self.epochs:
            raise ValueError(
                f"--warmup-epochs {self.warmup_epochs:g} is more than --epochs {self.epochs}; warm-up is part of "
                "the epochs, so give at most that many."
            )

    def steps(self, steps_per_epoch: int) -> int:
        """Number of steps of the whole run."""
        return self.iterations or self.epochs * steps_per_epoch

    def is_over(self, step: int, epoch: int) -> bool:
        """Whether the run is finished after this many steps and complete epochs."""
        return step >= self.iterations if self.iterations else epoch >= self.epochs

    def to_dict(self) -> dict[str, Any]:
        """All options as plain values, for checkpoints; `from_dict` reads them back."""
        fields = dataclasses.asdict(self)
        return {name: str(value) if isinstance(value, Path) else value for name, value in fields.items()}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Read what `to_dict` wrote; options that an older version did not have take their defaults.

        Raises:
            ValueError: an option has another type, or a value that is not allowed.
        """
        check_options(cls, fields)
        known = {field.name: field for field in dataclasses.fields(cls)}
        paths = {name: Path(value) for name, value in fields.items() if value is not None and name in PATHS}
        return cls(**{name: value for name, value in (fields | paths).items() if name in known})


def check(name: str, value: float, allowed: bool, rule: str) -> None:
    """Refuse an option's number that is not allowed.

    Example::

        >>> check("batch_size", 0, allowed=False, rule="above 0")
        Traceback (most recent call last):
        ValueError: --batch-size 0 given; it must be above 0.
    """
    if not allowed:
        raise ValueError(f"--{name.replace('_', '-')} {value:g} given; it must be {rule}.")


def check_timeout(seconds: float) -> None:
    """Refuse a --timeout that is not above 0 and at most a week."""
    check("timeout", seconds, 0 < seconds <= LONGEST_TIMEOUT, f"above 0 and at most {LONGEST_TIMEOUT}, a week")


def choose(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse an option's word that is not one of the allowed ones."""
    if value not in allowed:
        *first, last = allowed
        raise ValueError(f"--{name} {value!r} given; allowed are {', '.join(first)} and {last}.")

"""Arguments that the benchmarks share, and what is said of wrong ones."""

import math
import os
from pathlib import Path

import torch

from bench.common.contender import Settings
from bench.common.photos import Photos, long_epoch, open_photos
from dali_cutmix.utils import cache_folder


def check_least(least: int, **given: int) -> None:
    """Refuse numbers below ``least``; named as in Python, reported as on the command line."""
    for name, value in given.items():
        if value < least:
            raise ValueError(f"--{name.replace('_', '-')} {value} given; it is a whole number of at least {least}.")


def check_seconds(seconds: float) -> None:
    """Refuse what is no length of time."""
    if not 0 < seconds < math.inf:
        raise ValueError(f"--seconds {seconds:g} given; it is the length of one measurement, above 0.")


def check_silence(silence: float) -> None:
    """Refuse what is no limit."""
    if not 0 < silence < math.inf:
        raise ValueError(f"--silence {silence:g} given; it is how long a loader may give no batch, in seconds above 0.")


def check_minutes(minutes: float) -> None:
    """Refuse what is no limit; 0 is none."""
    if not 0 <= minutes < math.inf:
        raise ValueError(f"--minutes {minutes:g} given; it is how long to measure at most, 0 for no limit.")


def choose_device(device: str) -> str:
    """``cpu`` or ``cuda:N``; ``auto`` is the first GPU, the CPU where there is none.

    Raises:
        ValueError: a device that this machine does not have.
    """
    count = torch.cuda.device_count()
    if device == "auto":
        return "cuda:0" if count else "cpu"
    allowed = ["cpu", *(f"cuda:{index}" for index in range(count))]
    if device not in allowed:
        raise ValueError(f"--device {device} given; on this machine there is {', '.join(allowed)} (or auto).")
    return device


def open_for(batch_size: int, data: Path | None, device: str = "cpu") -> Photos:
    """The images to measure with, at least one batch of them; see ``open_photos``.

    Raises:
        FileNotFoundError, ValueError: the folder is missing, has no classes, or too few images.
    """
    photos = open_photos(data, device)
    if batch_size > photos.images:
        raise ValueError(
            f"--batch-size {batch_size} given, but {photos.root} holds {photos.images} images; give at most that."
        )
    return photos


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def settings_for(photos: Photos, *, size: int, batch_size: int, threads: int, device: str) -> Settings:
    """What is equal for all contenders; ``threads`` 0 means one for each core."""
    root, images = long_epoch(photos)
    return Settings(
        data=root,
        images=images,
        num_classes=len(photos.classes),
        size=size,
        batch_size=batch_size,
        threads=threads or cores(),
        device=device,
        cache=cache_folder(),
    )

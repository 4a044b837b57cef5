"""Options that several benchmarks have, and the error messages for invalid values."""

import math
import os
from pathlib import Path

import torch

from bench.common.photos import PhotoFolder, open_photos


def check_minimum(minimum: int, **given: int) -> None:
    """Raise ``ValueError`` for numbers below ``minimum``; names are given as in Python, shown as on the command line.

    Example:
        >>> check_minimum(1, batch_size=0)
        Traceback (most recent call last):
            ...
        ValueError: --batch-size 0 given; it is a whole number of at least 1.
    """
    for name, value in given.items():
        if value < minimum:
            raise ValueError(f"--{name.replace('_', '-')} {value} given; it is a whole number of at least {minimum}.")


def check_seconds(seconds: float) -> None:
    """Raise ``ValueError`` for an invalid length of one measurement."""
    if not 0 < seconds < math.inf:
        raise ValueError(f"--seconds {seconds:g} given; it is the length of one measurement, above 0.")


def check_silence(silence: float) -> None:
    """Raise ``ValueError`` for an invalid time limit of a single batch."""
    if not 0 < silence < math.inf:
        raise ValueError(f"--silence {silence:g} given; it is how long a loader may give no batch, in seconds above 0.")


def check_minutes(minutes: float) -> None:
    """Raise ``ValueError`` for an invalid time limit of a whole benchmark; 0 means no limit."""
    if not 0 <= minutes < math.inf:
        raise ValueError(f"--minutes {minutes:g} given; it is how long to measure at most, 0 for no limit.")


def choose_device(device: str) -> str:
    """Return ``cpu`` or ``cuda:N``; ``auto`` is the first GPU, or the CPU where there is no GPU.

    Raises:
        ValueError: this machine does not have the device.
    """
    count = torch.cuda.device_count()
    if device == "auto":
        return "cuda:0" if count else "cpu"
    allowed = ["cpu", *(f"cuda:{index}" for index in range(count))]
    if device not in allowed:
        raise ValueError(f"--device {device} given; on this machine there is {', '.join(allowed)} (or auto).")
    return device


def open_enough_photos(batch_size: int, data: Path | None, device: str = "cpu") -> PhotoFolder:
    """Open the images to measure with and check that they fill at least one batch; see ``open_photos``.

    Raises:
        FileNotFoundError, ValueError: the folder is missing, has no classes, or too few images.
    """
    photos = open_photos(data, device)
    if batch_size > photos.images:
        raise ValueError(
            f"--batch-size {batch_size} given, but {photos.root} holds {photos.images} images; give at most that."
        )
    return photos


def usable_cores() -> int:
    """Count the CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))

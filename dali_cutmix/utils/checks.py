"""Checks of arguments that several verbs share; each error says what was given and what is allowed."""

from numbers import Integral
from typing import Literal

Split = Literal["train", "val"]
"""The part of a data set that is trained on, or the one that is evaluated."""


def check_size(name: str, size: int) -> None:
    """Refuse what is no number of pixels."""
    if not (isinstance(size, int) and size >= 1):
        raise ValueError(f"{name}={size!r} given; it is a number of pixels, a whole number of at least 1.")


def check_shard(shard: tuple[int, int]) -> None:
    """Refuse a shard that is not (rank, world_size) with 0 ≤ rank < world_size."""
    match shard:
        case (int(rank), int(world_size)) if 0 <= rank < world_size:
            return
    raise ValueError(
        f"shard={shard!r} given; it is (rank, world_size) with 0 <= rank < world_size, (0, 1) for one process."
    )


def check_classes(num_classes: int, found: int) -> None:
    """Refuse what is no number of classes, and fewer than the labels need."""
    if not (isinstance(num_classes, Integral) and num_classes >= 1):
        raise ValueError(f"num_classes={num_classes!r} given; allowed is a whole number of at least 1.")
    if num_classes < found:
        raise ValueError(
            f"num_classes={num_classes} given, but what is read has {found} classes, so labels go up to "
            f"{found - 1}; give at least {found}."
        )


def check_chance(name: str, value: float) -> float:
    """A chance, as a float: 0 and 0.0 are the same to a saved state.

    Raises:
        ValueError: it is none.
    """
    if not (isinstance(value, (int, float)) and 0 <= value <= 1):
        raise ValueError(f"{name}={value!r} given; it is a chance, 0 to 1.")
    return float(value)


def check_chances(**chances: float) -> dict[str, float]:
    """The same chances as floats, see :func:`check_chance`.

    Raises:
        ValueError: one of them is not a chance.
    """
    return {name: check_chance(name, value) for name, value in chances.items()}


def check_split(split: str) -> None:
    """Refuse anything but ``"train"`` and ``"val"``."""
    if split not in ("train", "val"):
        raise ValueError(f"split={split!r} given; allowed are 'train' and 'val'.")

"""Checks of arguments, shared by all verbs: each error says what was given and what is allowed.

Whole numbers may be Python's or NumPy's, and come back as Python's: both are then the same to a saved state. True and
False are none.

An argument of a function is quoted as ``size=0``, an option of a command, whose name begins with dashes, as
``--workers 0``.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from numbers import Integral
from typing import Any, Literal, get_args

Split = Literal["train", "val"]
"""The part of a data set that is trained on, or the one that is evaluated."""


def given_as(name: str, value: Any) -> str:
    """What was given, as the beginning of a message."""
    if name.startswith("--"):
        return f"{name} {' '.join(map(str, value)) if isinstance(value, tuple) else value} given"
    return f"{name}={value!r} given"


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_whole(name: str, value: int, least: int = 1, most: int | None = None) -> int:
    """Refuse anything but a whole number from ``least`` to ``most``."""
    if not (_is_whole(value) and value >= least and (most is None or value <= most)):
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{given_as(name, value)}; allowed is a whole number {limits}.")
    return int(value)


def check_seed(seed: int) -> int:
    """Refuse anything but a whole number of 32 bits."""
    if not (_is_whole(seed) and 0 <= seed < 2**32):
        raise ValueError(f"{given_as('seed', seed)}; allowed is a whole number from 0 to 2**32 - 1.")
    return int(seed)


def check_size(name: str, size: int) -> int:
    """Refuse anything but a number of pixels, at least 1."""
    if not (_is_whole(size) and size >= 1):
        raise ValueError(f"{given_as(name, size)}; it is a number of pixels, a whole number of at least 1.")
    return int(size)


def check_resize(resize: int, size: int, side: str) -> tuple[int, int]:
    """Refuse sizes of a resized image and of a crop from it that do not fit together.

    Args:
        resize: side of the image before the crop.
        size: side of the crop.
        side: which side of the image that is, for the message.

    Returns:
        ``resize`` and ``size``.
    """
    size, resize = check_size("size", size), check_size("resize", resize)
    if resize < size:
        raise ValueError(f"resize={resize} given with size={size}; the {side} side must be at least the crop's.")
    return resize, size


def check_padding(padding: int, size: int) -> int:
    """Refuse padding after which a crop of ``size`` pixels could miss the image."""
    if not (_is_whole(padding) and 0 <= padding < size):
        raise ValueError(
            f"padding={padding!r} given with size={size}; it is a whole number of pixels, 0 to {size - 1}, so that "
            "every crop holds some of the image."
        )
    return int(padding)


def check_max_pixels(max_pixels: int) -> int:
    """Refuse anything but a number of pixels, width × height."""
    if not (_is_whole(max_pixels) and max_pixels >= 1):
        raise ValueError(f"{given_as('max_pixels', max_pixels)}; it is width × height, a whole number of at least 1.")
    return int(max_pixels)


def check_preallocate(preallocate: tuple[int, int]) -> tuple[int, int]:
    """Refuse anything but (width, height), neither below 0."""
    match preallocate:
        case (width, height) if _is_whole(width) and _is_whole(height) and width >= 0 and height >= 0:
            return int(width), int(height)
    raise ValueError(
        f"{given_as('preallocate', preallocate)}; it is (width, height) in pixels of the largest image, or (0, 0) to "
        "allocate no memory ahead."
    )


def check_range(name: str, value: tuple[float, float], what: str, most: float = float("inf")) -> None:
    """Refuse anything but (smallest, largest), above 0 and at most ``most``."""
    match value:
        case (float() | int() as low, float() | int() as high) if 0 < low <= high <= most and high < float("inf"):
            return
    limits = "both above 0" if most == float("inf") else f"above 0 and at most {most:g}"
    raise ValueError(f"{given_as(name, value)}; it is (smallest, largest) {what}, {limits}.")


def check_seconds(name: str, value: Any) -> float:
    """A duration in seconds, from 0.

    Raises:
        ValueError: it is not a finite number of 0 or more.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return float(value)
    raise ValueError(f"{name}={value!r} given; allowed are seconds, 0 or more (0 does not wait).")


def check_fraction(name: str, value: float, what: str) -> float:
    """Refuse anything but a number from 0 to 1.

    Args:
        name: of the argument.
        value: of the argument.
        what: the fraction's meaning, for the message.

    Returns:
        The number as a float: 0 and 0.0 are then the same to a saved state.
    """
    if not (isinstance(value, (int, float)) and 0 <= value <= 1):
        raise ValueError(f"{given_as(name, value)}; it is {what}, 0 to 1.")
    return float(value)


def check_chance(name: str, value: float) -> float:
    """Refuse anything but a chance from 0 to 1; the chance as a float, see :func:`check_fraction`."""
    return check_fraction(name, value, "a chance")


def check_choice(name: str, value: str, choices: Collection[str], notes: Mapping[str, str] | None = None) -> None:
    """Refuse anything but one of several strings.

    Args:
        name: of the argument.
        value: of the argument.
        choices: what is allowed.
        notes: explanations of some of the choices, for the message.
    """
    if value not in choices:
        *others, last = (" ".join(filter(None, (repr(choice), (notes or {}).get(choice)))) for choice in choices)
        raise ValueError(f"{given_as(name, value)}; allowed are {', '.join(others)} and {last}.")


def check_shard(shard: tuple[int, int]) -> tuple[int, int]:
    """Refuse anything but (rank, world_size) with 0 ≤ rank < world_size."""
    match shard:
        case (rank, world_size) if _is_whole(rank) and _is_whole(world_size) and 0 <= rank < world_size:
            return int(rank), int(world_size)
    raise ValueError(
        f"{given_as('shard', shard)}; it is (rank, world_size) with 0 <= rank < world_size, (0, 1) for one process."
    )


def check_classes(num_classes: int, found: int) -> int:
    """Refuse anything but a number of classes, and fewer classes than the labels need.

    Args:
        num_classes: the argument.
        found: the least number of classes that the labels need.
    """
    num_classes = check_whole("num_classes", num_classes)
    if num_classes < found:
        raise ValueError(
            f"num_classes={num_classes} given, but the data has {found} classes, so labels go up to {found - 1}; give "
            f"at least {found}."
        )
    return num_classes


def check_named_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Refuse names of classes by which labels cannot be told apart; the names as a tuple."""
    names = tuple(classes)
    if isinstance(classes, str) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{given_as('classes', classes)}; it is a list of the names of all classes.")
    if again := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"classes= names {again[0]!r} twice; name each class once.")
    return names


def check_chances(**chances: float) -> dict[str, float]:
    """The same chances as floats, see :func:`check_chance`."""
    return {name: check_chance(name, value) for name, value in chances.items()}


def check_split(split: str) -> None:
    """Refuse anything but ``"train"`` and ``"val"``."""
    check_choice("split", split, get_args(Split))

"""Levels: mean and standard deviation of pixels, checked the same way wherever they are arguments."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

from dali_cutmix.utils.checks import given_as


def check_levels(
    mean: Any, std: Any, names: tuple[str, str] = ("mean", "std")
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Check mean and standard deviation of the pixels, in levels of 0 to 255.

        mean=(123.7, 116.3, 103.5)    one value for each of three channels
        mean=128                      one value for all channels, as many as there are
        mean=0, std=1                 levels as they are
        mean=0.5, std=0.5             refused: meant for pixels of 0 to 1, as is either of them alone

    Args:
        mean, std: a number, or 1 or 3 numbers in a list, tuple, NumPy array or torch tensor.
        names: of the two arguments, for the message.

    Returns:
        Both as tuples of floats, of the same length: 1 or 3.

    Raises:
        ValueError: another number of values, a value that is not a finite number, a standard deviation that is not
            above 0, or values for pixels of 0 to 1.
    """
    means, stds = (_numbers(name, value) for name, value in zip(names, (mean, std), strict=True))
    if min(stds) <= 0:
        raise ValueError(f"{given_as(names[1], std)}; pixels are divided by it, so it is above 0 in each channel.")
    channels = max(len(means), len(stds))
    if meant := _meant(names, means, stds):
        both = len(meant) == 2
        raise ValueError(
            f"{given_as(names[0], mean)} with {names[1]}={std}; {'these are' if both else f'{min(meant)} is'} for "
            f"pixels of 0 to 1, but here they are levels of 0 to 255. Multiply {'both' if both else 'it'} by 255: "
            f"{', '.join(f'{name}={values}' for name, values in meant.items())}."
        )
    return _spread(means, channels), _spread(stds, channels)


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    plain = _plain(value)
    several = isinstance(plain, Sequence) and not isinstance(plain, (str, bytes))
    found = [_plain(number) for number in plain] if several else [plain]
    real = all(isinstance(number, Real) and not isinstance(number, bool) for number in found)
    if not real or len(found) not in (1, 3) or not all(map(math.isfinite, found)):
        raise ValueError(
            f"{given_as(name, value)}; it is one finite number for all channels, or three, one for each channel, in "
            "levels of 0 to 255."
        )
    return tuple(map(float, found))


def _plain(value: Any) -> Any:
    """Numbers of NumPy and torch as Python's."""
    return value.tolist() if hasattr(value, "tolist") else value


def _meant(names: tuple[str, str], means: tuple[float, ...], stds: tuple[float, ...]) -> dict[str, tuple[float, ...]]:
    """Values that are for pixels of 0 to 1, as levels, by name. One of the two may have been left at its default."""
    if set(means) == {0.0} and set(stds) == {1.0}:
        return {}
    both = max(map(abs, means + stds)) <= 1
    is_small = {names[0]: both or 0 < max(map(abs, means)) < 1, names[1]: both or max(stds) < 1}
    return {
        name: tuple(float(f"{255 * value:.6g}") for value in values)
        for name, values in zip(names, (means, stds), strict=True)
        if is_small[name]
    }


def _spread(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return values if len(values) == channels else values * channels

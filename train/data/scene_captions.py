"""Captions of the embedded scenes, by a small, regular grammar of counts, names, sizes and places."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from train.data.scene_drawing import NAMES, Digit

_LARGE = 1.25  # a digit is called large from this multiple of the scene's mean size, and small up to the inverse
_CLEAR = 1.25  # a direction is named if its distance is at least this multiple of the other one


def sentences(digits: Sequence[Digit], rng: np.random.Generator) -> list[str]:
    """Write three to five different sentences about the digits that are not difficult, of which there must be one."""
    seen = sorted((digit for digit in digits if not digit.difficult), key=lambda digit: digit.box[0])
    named = _named(seen)
    if len(seen) == 1:
        return [named[0], f"there is {named[0]}", f"one digit, {named[0]}", f"a picture of {named[0]}"]
    together = _listed(named)
    captions = [together, f"{NAMES[len(seen)]} digits, {together}", f"there are {together}"]
    pairs = [pair for pair in combinations(range(len(seen)), 2) if related(*(seen[i] for i in pair))]
    for index in rng.permutation(len(pairs))[:2].tolist():
        one, other = rng.permutation(pairs[index]).tolist()
        captions.append(f"{named[one]} {related(seen[one], seen[other])} {named[other]}")
        if len(seen) == 2:
            captions.append(f"{named[other]} {related(seen[other], seen[one])} {named[one]}")
    return list(dict.fromkeys(captions))


def related(one: Digit, other: Digit) -> str | None:
    """The position of ``one`` relative to ``other``, by the distance of their centres; None if it is diagonal."""
    across, down = (one.box[axis] + one.box[axis + 2] - other.box[axis] - other.box[axis + 2] for axis in (0, 1))
    if abs(across) >= _CLEAR * abs(down):
        return "left of" if across < 0 else "right of"
    if abs(down) >= _CLEAR * abs(across):
        return "above" if down < 0 else "below"
    return None


def sizes(digits: Sequence[Digit]) -> list[str]:
    """``"large "``, ``"small "`` or ``""`` for each digit, by its height relative to the geometric mean of all."""
    heights = np.array([digit.box[3] - digit.box[1] for digit in digits], float)
    relative = heights / np.exp(np.log(heights).mean())
    return ["large " if of_one >= _LARGE else "small " if of_one <= 1 / _LARGE else "" for of_one in relative]


def _named(digits: Sequence[Digit]) -> list[str]:
    names = [f"{size}{digit.name}" for digit, size in zip(digits, sizes(digits), strict=True)]
    return [f"{'an' if name == 'eight' else 'a'} {name}" for name in names]


def _listed(named: Sequence[str]) -> str:
    return " and ".join([", ".join(named[:-1]), named[-1]])

"""Mixing policies: frozen values that say what to mix, without behaviour.

Each stores its numbers as floats: equal policies have equal representations, and saved states are bound to these.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _set_alpha(policy: "CutMix | Mixup") -> None:
    alpha = policy.alpha
    if not (_is_number(alpha) and 0 < alpha < math.inf):
        raise ValueError(
            f"{type(policy).__name__}: alpha={alpha!r} given; Beta(alpha, alpha) needs a number, a finite alpha > 0 "
            "(the paper uses 1.0)."
        )
    object.__setattr__(policy, "alpha", float(alpha))


def _set_chance(policy: "CutMix | Mixup | Cutout") -> None:
    name, probability, per_sample = type(policy).__name__, policy.probability, policy.per_sample
    if not (_is_number(probability) and 0 <= probability <= 1):
        raise ValueError(
            f"{name}: probability={probability!r} given; allowed is 0 (never mix) to 1 (mix every batch), a number."
        )
    if not isinstance(per_sample, (bool, np.bool_)):
        raise ValueError(
            f"{name}: per_sample={per_sample!r} given; allowed are True (draw for each sample) and False (once for "
            "the batch)."
        )
    object.__setattr__(policy, "probability", float(probability))
    object.__setattr__(policy, "per_sample", bool(per_sample))


@dataclass(frozen=True)
class CutMix:
    """Paste one box of the partner image, and mix the targets by area (paper, Algorithm A1).

    The box has the image's shape, √(1−λ) of its width and height, and its centre anywhere in the image; what lies
    outside of the image is cut off, and λ is corrected to the exact area:

        ┌───────────────────┐
        │           ┌───────┼ ─ ┐   H·√(1−λ)
        │     own   │partner│       high,
        │           │   ·   │   │   W·√(1−λ) wide
        │           └───────┼ ─ ┘
        └───────────────────┘       target = λ·y + (1−λ)·y_partner

    Args:
        alpha: λ ~ Beta(alpha, alpha), the fraction of the image that stays; 1.0 is the paper's Unif(0, 1).
        probability: chance that a batch (with ``per_sample``: a sample) is mixed at all.
        per_sample: draw λ, box and chance for each sample instead of once for the batch (lines 5 to 7 of A1).

    Raises:
        ValueError: ``alpha`` is not positive, ``probability`` is not in 0 to 1, or ``per_sample`` is not a bool.

    Example:
        >>> dc.CutMix(alpha=1.0, probability=0.5)
        CutMix(alpha=1.0, probability=0.5, per_sample=False)
        >>> dc.CutMix(alpha=0.0)
        Traceback (most recent call last):
        ValueError: CutMix: alpha=0.0 given; Beta(alpha, alpha) needs a number, a finite alpha > 0 (the paper uses 1.0).
    """

    alpha: float = 1.0
    probability: float = 1.0
    per_sample: bool = False

    def __post_init__(self) -> None:
        _set_alpha(self)
        _set_chance(self)


@dataclass(frozen=True)
class Mixup:
    """Blend with the partner image, λ·x + (1−λ)·x_partner, and mix the targets alike (paper, section E.1).

    λ ~ Beta(alpha, alpha) is rounded to 1/65536, so that images and targets use the very same number.
    Arguments and errors are those of :class:`CutMix`.

    Example:
        >>> dc.Mixup(alpha=0.2)
        Mixup(alpha=0.2, probability=1.0, per_sample=False)
    """

    alpha: float = 1.0
    probability: float = 1.0
    per_sample: bool = False

    def __post_init__(self) -> None:
        _set_alpha(self)
        _set_chance(self)


@dataclass(frozen=True)
class Cutout:
    """Set one square to zero, after normalization; the target stays as it is.

    The centre is uniform over the image, so the square may reach beyond its border.

    Args:
        length: side of the square as a fraction of the shorter side of the image. 0.5 is the usual choice for
            CIFAR (16 of 32 pixels) and ImageNet (112 of 224) alike.
        probability: chance that a batch (with ``per_sample``: a sample) gets a hole at all.
        per_sample: draw centre and chance for each sample instead of once for the batch.

    Raises:
        ValueError: ``length`` is not in (0, 2], ``probability`` is not in 0 to 1, or ``per_sample`` is not a bool.

    Example:
        >>> dc.Cutout(length=0.5)
        Cutout(length=0.5, probability=1.0, per_sample=False)
    """

    length: float = 0.5
    probability: float = 1.0
    per_sample: bool = False

    def __post_init__(self) -> None:
        if not (_is_number(self.length) and 0 < self.length <= 2):
            raise ValueError(
                f"Cutout: length={self.length!r} given; it is the side of the square as a fraction of the image's "
                "shorter side, a number above 0 and at most 2 (0.5 means 112 of 224 pixels)."
            )
        object.__setattr__(self, "length", float(self.length))
        _set_chance(self)


@dataclass(frozen=True)
class OneOf:
    """Choose one of several policies for each batch, at random by weight.

    Args:
        policies: two or more policies; ``None`` among them means a batch that is not mixed.
        weights: relative weights, one for each policy, not negative and not all zero; equal by default.

    Raises:
        ValueError: fewer than two policies, or weights that do not fit them.

    Example:
        >>> policy = dc.OneOf((dc.CutMix(), dc.Mixup(0.2), None), weights=(2, 1, 1))
        >>> policy.weights
        (2.0, 1.0, 1.0)
    """

    policies: "tuple[CutMix | Mixup | Cutout | None, ...]"
    weights: tuple[float, ...] = field(default=())

    def __post_init__(self) -> None:
        given: Any = self.policies, self.weights
        for name, values in zip(("policies", "weights"), given, strict=True):
            if not isinstance(values, Iterable):
                raise ValueError(
                    f"OneOf: {name}={values!r} given; allowed are several, in a tuple: dc.OneOf((dc.CutMix(), "
                    "dc.Mixup()), weights=(2, 1))."
                )
            object.__setattr__(self, name, tuple(values))
        object.__setattr__(self, "weights", self.weights or (1.0,) * len(self.policies))
        if len(self.policies) < 2:
            raise ValueError(
                f"OneOf: {len(self.policies)} policies given; two or more are needed (pass a single one without OneOf)."
            )
        for policy in self.policies:
            if not isinstance(policy, (CutMix, Mixup, Cutout, type(None))):
                raise ValueError(f"OneOf: {policy!r} given as a policy; allowed are CutMix, Mixup, Cutout and None.")
        if len(self.weights) != len(self.policies):
            raise ValueError(
                f"OneOf: {len(self.weights)} weights given for {len(self.policies)} policies; give one weight for each."
            )
        numbers = all(map(_is_number, self.weights))
        if not numbers or min(self.weights) < 0 or not 0 < sum(self.weights) < math.inf:
            raise ValueError(f"OneOf: weights={self.weights} given; weights are numbers of at least 0 and not all 0.")
        object.__setattr__(self, "weights", tuple(map(float, self.weights)))


Policy = CutMix | Mixup | Cutout | OneOf
"""Any mixing policy."""


def check_policy(policy: Policy | None) -> None:
    """Refuse anything but a policy or None."""
    if policy is not None and not isinstance(policy, Policy):
        fix = " To choose one of several for each batch, wrap them: dc.OneOf((dc.CutMix(), dc.Mixup()))."
        raise ValueError(
            f"mix={policy!r} given; allowed are dc.CutMix(...), dc.Mixup(...), dc.Cutout(...), dc.OneOf(...) or None."
            f"{fix if isinstance(policy, (list, tuple)) else ''}"
        )

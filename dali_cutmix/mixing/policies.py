"""Mixing policies: frozen values that say what to mix, without behaviour."""

import math
from dataclasses import dataclass, field


def _check_alpha(policy: str, alpha: float) -> None:
    if not 0 < alpha < math.inf:
        raise ValueError(
            f"{policy}: alpha={alpha} given; Beta(alpha, alpha) needs a finite alpha > 0 (the paper uses 1.0)."
        )


def _check_probability(policy: str, probability: float) -> None:
    if not 0 <= probability <= 1:
        raise ValueError(f"{policy}: probability={probability} given; allowed is 0 (never mix) to 1 (mix every batch).")


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
        ValueError: ``alpha`` is not positive, or ``probability`` is not in 0 to 1.

    Example:
        >>> dc.CutMix(alpha=1.0, probability=0.5)
        CutMix(alpha=1.0, probability=0.5, per_sample=False)
        >>> dc.CutMix(alpha=0.0)
        Traceback (most recent call last):
        ValueError: CutMix: alpha=0.0 given; Beta(alpha, alpha) needs a finite alpha > 0 (the paper uses 1.0).
    """

    alpha: float = 1.0
    probability: float = 1.0
    per_sample: bool = False

    def __post_init__(self) -> None:
        _check_alpha("CutMix", self.alpha)
        _check_probability("CutMix", self.probability)


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
        _check_alpha("Mixup", self.alpha)
        _check_probability("Mixup", self.probability)


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
        ValueError: ``length`` is not in (0, 2], or ``probability`` is not in 0 to 1.

    Example:
        >>> dc.Cutout(length=0.5)
        Cutout(length=0.5, probability=1.0, per_sample=False)
    """

    length: float = 0.5
    probability: float = 1.0
    per_sample: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.length <= 2:
            raise ValueError(
                f"Cutout: length={self.length} given; it is the side of the square as a fraction of the image's "
                "shorter side, above 0 and at most 2 (0.5 means 112 of 224 pixels)."
            )
        _check_probability("Cutout", self.probability)


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
        (2, 1, 1)
    """

    policies: "tuple[CutMix | Mixup | Cutout | None, ...]"
    weights: tuple[float, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "policies", tuple(self.policies))
        object.__setattr__(self, "weights", tuple(self.weights) or (1.0,) * len(self.policies))
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
        if min(self.weights) < 0 or not 0 < sum(self.weights) < math.inf:
            raise ValueError(f"OneOf: weights={self.weights} given; weights are at least 0 and not all 0.")


Policy = CutMix | Mixup | Cutout | OneOf
"""Any mixing policy."""


def check_policy(policy: Policy | None) -> None:
    """Refuse anything but a policy or None."""
    if policy is not None and not isinstance(policy, Policy):
        raise ValueError(
            f"mix={policy!r} given; allowed are dc.CutMix(...), dc.Mixup(...), dc.Cutout(...), dc.OneOf(...) or None."
        )

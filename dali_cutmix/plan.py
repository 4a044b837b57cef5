"""Draw a plan: who is mixed with whom, where, by how much. Every draw is a DALI node.

One plan row for each sample, int32, in the order of ``COLUMNS``:

    partner          index in the batch, or HOLE: the box becomes a hole instead of the partner's pixels
    x1 y1 x2 y2      the box in pixels of the output, half open; empty where nothing is mixed
    flip             1: this sample is mirrored (its partner says so in a row of its own)
    weight           share of the sample's own pixels inside the box, in 1/65536 (0 pastes, more blends)

Outside the box an output pixel is the sample's own.
"""

from typing import Any, NamedTuple

import numpy as np
from nvidia.dali import fn, math, types

from dali_cutmix.policies import CutMix, Cutout, Mixup, OneOf, Policy

COLUMNS = ("partner", "x1", "y1", "x2", "y2", "flip", "weight")
HOLE = -1
ONE = 65536


class Plan(NamedTuple):
    """DALI nodes on the CPU: ``rows`` (7 int32), ``partner`` (int32 scalar), ``lam`` (float32 scalar), ``hole``.

    ``lam`` is the exact share of the sample's own label: 1 − area of the box · (1 − weight) / area of the image.
    ``hole`` holds the hole's x1, y1, x2, y2 as 4 float32, None where the policy makes no holes.
    """

    rows: Any
    partner: Any
    lam: Any
    hole: Any


class _Box(NamedTuple):
    """What one policy draws: x1 y1 x2 y2 as float32 (4), own weight in 1/65536 (scalar), λ (scalar)."""

    corners: Any
    weight: Any
    lam: Any


class _Draws:
    """Random numbers for every sample, or one number for the whole batch."""

    def __init__(self) -> None:
        self.permutation = fn.batch_permutation()
        self._first = self.permutation * 0

    def _shared(self, draw: Any, per_sample: bool) -> Any:
        return draw if per_sample else fn.permute_batch(draw, indices=self._first)

    def uniform(self, n: int, per_sample: bool = False) -> Any:
        return self._shared(fn.random.uniform(range=[0.0, 1.0], shape=[n]), per_sample)

    def beta(self, alpha: float, per_sample: bool) -> Any:
        return self._shared(fn.random.beta(alpha=alpha, beta=alpha), per_sample)

    def happens(self, probability: float, per_sample: bool) -> Any:
        """1 with the given probability, else 0; float32 scalar."""
        return fn.cast(self.uniform(1, per_sample)[0] < float(probability), dtype=types.FLOAT)


def _round(x: Any) -> Any:
    """Half up, as everywhere in this library: DALI, NumPy and C each round halves in a way of their own."""
    return math.floor(x + 0.5)


def _clipped_box(draws: _Draws, side: Any, width_height: Any, per_sample: bool) -> Any:
    """Lines 6, 7 and 10 to 13 of Algorithm A1: a uniform centre, corners clipped, then rounded."""
    centre = draws.uniform(2, per_sample) * width_height
    low = _round(math.max(centre - side * 0.5, 0.0))
    high = _round(math.min(centre + side * 0.5, width_height))
    return fn.cat(low, high)


def _draw(draws: _Draws, policy: CutMix | Mixup | Cutout | None, width_height: Any) -> _Box:
    nothing = types.Constant(np.zeros(4, np.float32), device="cpu")
    area = width_height[0] * width_height[1]
    match policy:
        case None:
            return _Box(nothing, area * 0.0, area * 0.0 + 1.0)
        case CutMix():
            side = width_height * math.sqrt(1.0 - draws.beta(policy.alpha, policy.per_sample))
            corners = _clipped_box(draws, side, width_height, policy.per_sample)
            weight = area * 0.0
        case Mixup():
            weight = _round(draws.beta(policy.alpha, policy.per_sample) * float(ONE))
            corners = fn.cat(width_height * 0.0, width_height)
        case Cutout():
            side = math.min(width_height[0], width_height[1]) * float(policy.length)
            corners = _clipped_box(draws, side, width_height, policy.per_sample)
            weight = area * 0.0
    if policy.probability < 1:
        corners = corners * draws.happens(policy.probability, policy.per_sample)
    if isinstance(policy, Cutout):
        return _Box(corners, weight, area * 0.0 + 1.0)
    pasted = (corners[2] - corners[0]) * (corners[3] - corners[1]) / area
    return _Box(corners, weight, 1.0 - pasted * (1.0 - weight / float(ONE)))


def _draw_one_of(draws: _Draws, policy: OneOf, width_height: Any) -> tuple[_Box, Any]:
    """The box of one policy, chosen by weight for the whole batch, and 1 where that policy is Cutout."""
    ends = np.cumsum(policy.weights) / np.sum(policy.weights)
    u = draws.uniform(1)[0]
    box, is_hole, start = None, None, 0.0
    for inner, end in zip(policy.policies, ends, strict=True):
        chosen = fn.cast((u >= float(start)) & (u < float(end)), dtype=types.FLOAT)
        mine = _Box(*(part * chosen for part in _draw(draws, inner, width_height)))
        box = mine if box is None else _Box(*(a + b for a, b in zip(box, mine, strict=True)))
        if isinstance(inner, Cutout):
            is_hole = chosen if is_hole is None else is_hole + chosen
        start = end
    assert box is not None
    return box, is_hole


def draw_plan(policy: Policy | None, width_height: Any, flip: float) -> Plan:
    """Draw who is mixed with whom, where and by how much, for every sample of a batch.

    Args:
        policy: what to mix.
        width_height: width and height of the images in pixels: two numbers, or a node of 2 float32 on the CPU.
        flip: chance that a sample is mirrored, each on its own.
    """
    if isinstance(width_height, (tuple, list)):
        width_height = types.Constant(np.array(width_height, np.float32), device="cpu")
    draws = _Draws()
    if isinstance(policy, OneOf):
        box, is_hole = _draw_one_of(draws, policy, width_height)
    else:
        box = _draw(draws, policy, width_height)
        is_hole = box.weight * 0.0 + 1.0 if isinstance(policy, Cutout) else None
    partner = draws.permutation
    if is_hole is not None:
        hole = fn.cast(is_hole, dtype=types.INT32)
        pasted_from = partner * (1 - hole) + hole * HOLE
    else:
        pasted_from = partner
    flips = fn.random.coin_flip(probability=flip, dtype=types.INT32) if flip > 0 else partner * 0
    rows = fn.cat(
        fn.stack(pasted_from),
        fn.cast(box.corners, dtype=types.INT32),
        fn.stack(flips, fn.cast(box.weight, dtype=types.INT32)),
    )
    return Plan(rows, partner, box.lam, None if is_hole is None else box.corners * is_hole)

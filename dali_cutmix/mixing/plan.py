"""Plan: which partner, which box and which weight each sample of a batch gets (paper, Algorithm A1).

All random numbers are drawn in the graph, by DALI's nodes, so that a checkpoint of the pipeline holds their state; the
plan follows from them in NumPy, as a pure function. It has one row for each sample, int32, in the order of ``COLUMNS``:

    partner          index in the batch, or HOLE: the box becomes a hole instead of the partner's pixels
    x1 y1 x2 y2      the box in pixels of the output, half open; empty where nothing is mixed
    flip             1: this sample is mirrored (its partner's flip is in the partner's row)
    weight           weight of the sample's own pixels inside the box, in 1/65536 (0 pastes, more blends)

Outside the box an output pixel is the sample's own. The plan of CutMix for four 8×8 images, permutation 2 0 3 1, one
box for the batch:

      x 0 1 2 3 4 5 6 7
    y 0 · · · · · · · ·      partner  x1 y1 x2 y2  flip  weight
      1 · · · ■ ■ ■ ■ ·            2   3  1  7  5     0       0
      2 · · · ■ ■ ■ ■ ·            0   3  1  7  5     1       0
      3 · · · ■ ■ ■ ■ ·            3   3  1  7  5     0       0
      4 · · · ■ ■ ■ ■ ·            1   3  1  7  5     1       0
      5 · · · · · · · ·
      6 · · · · · · · ·      ■ the partner's pixels: 16 of 64, so λ = 0.75
      7 · · · · · · · ·
"""

from typing import Any, NamedTuple

import numpy as np
from nvidia.dali import fn

from dali_cutmix.mixing.policies import CutMix, Cutout, Mixup, OneOf, Policy

COLUMNS = ("partner", "x1", "y1", "x2", "y2", "flip", "weight")
PARTNER, BOX, FLIP, WEIGHT = 0, slice(1, 5), 5, 6
HOLE = -1
ONE = 65536


class Plan(NamedTuple):
    """Plan of a batch: ``rows`` N×7 int32; ``partner`` N int32, a permutation; ``lam`` N float32, exact λ."""

    rows: np.ndarray
    partner: np.ndarray
    lam: np.ndarray


class Alternative(NamedTuple):
    """A policy that may be chosen for a batch, and where its random numbers are.

    Args:
        policy: what to mix; None: nothing.
        column: of its first uniform number.
        beta: index of its β-distributed number.
    """

    policy: CutMix | Mixup | Cutout | None
    column: int
    beta: int


def alternatives(policy: Policy | None) -> list[Alternative]:
    """The policies that ``OneOf`` chooses from; a list of one for any other policy."""
    policies = policy.policies if isinstance(policy, OneOf) else (policy,)
    found, betas = [], 0
    for number, inner in enumerate(policies):
        found.append(Alternative(inner, 2 + 3 * number, betas))
        betas += isinstance(inner, (CutMix, Mixup))
    return found


def draw(policy: Policy | None) -> tuple[Any, ...]:
    """Draw all random numbers that a plan needs, for each sample of a batch, as DALI nodes on the CPU.

    Returns:
        A permutation (int32 scalars); uniform numbers (float32: flip, choice, and for each alternative centre x,
        centre y and chance); and λ ~ Beta(α, α) (float32 scalars) for each alternative that has an α.
    """
    inner = [alternative.policy for alternative in alternatives(policy)]
    uniform = fn.random.uniform(range=[0.0, 1.0], shape=[2 + 3 * len(inner)])
    betas = [fn.random.beta(alpha=p.alpha, beta=p.alpha) for p in inner if isinstance(p, (CutMix, Mixup))]
    return fn.batch_permutation(), uniform, *betas


def make_plan(
    policy: Policy | None,
    flip: float,
    width: int,
    height: int,
    permutation: np.ndarray,
    uniform: np.ndarray,
    *betas: np.ndarray,
) -> Plan:
    """Make the plan of one batch from its random numbers.

    Args:
        policy: what to mix.
        flip: chance that a sample is mirrored, independently of the others.
        width, height: of the images, in pixels.
        permutation, uniform, betas: arrays N, N×(2 + 3·alternatives) and N, drawn by :func:`draw`.
    """
    rows = np.zeros((len(permutation), len(COLUMNS)), np.int32)
    rows[:, PARTNER] = permutation
    rows[:, FLIP] = uniform[:, 0] < flip
    chosen = _choose(policy, uniform[0, 1])
    if chosen.policy is None:
        return Plan(rows, permutation, np.ones(len(rows), np.float32))

    # A draw for the whole batch is that of its first sample.
    drawn = slice(None) if getattr(chosen.policy, "per_sample", False) else slice(0, 1)
    size = np.array([width, height], float)
    centre = uniform[drawn, chosen.column : chosen.column + 2] * size
    happens = uniform[drawn, chosen.column + 2] < chosen.policy.probability
    lam = betas[chosen.beta][drawn].astype(float) if betas and not isinstance(chosen.policy, Cutout) else None
    match chosen.policy:
        case CutMix():
            assert lam is not None
            box = _clipped_box(centre, size * np.sqrt(1 - lam)[:, None], size)
        case Mixup():
            assert lam is not None
            box = np.array([[0, 0, width, height]])
            rows[:, WEIGHT] = _round(lam * ONE)
        case Cutout():
            box = _clipped_box(centre, np.full((1, 2), min(width, height) * chosen.policy.length), size)
            rows[:, PARTNER] = HOLE
    rows[:, BOX] = box * happens[:, None]
    return Plan(rows, permutation, _exact_lam(rows, width * height))


def _choose(policy: Policy | None, u: float) -> Alternative:
    options = alternatives(policy)
    if not isinstance(policy, OneOf):
        return options[0]
    ends = np.cumsum(policy.weights) / np.sum(policy.weights)
    return options[min(int(np.searchsorted(ends, u, side="right")), len(options) - 1)]


def _round(x: np.ndarray) -> np.ndarray:
    """Round half up; NumPy rounds halves to even."""
    return np.floor(x + 0.5)


def _clipped_box(centre: np.ndarray, sides: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Box x1, y1, x2, y2: lines 10 to 13 of Algorithm A1, with the W and H that lines 8 and 9 leave out."""
    low, high = np.maximum(centre - sides / 2, 0), np.minimum(centre + sides / 2, size)
    return _round(np.concatenate([low, high], axis=1))


def _exact_lam(rows: np.ndarray, area: int) -> np.ndarray:
    """Adjust λ to the exact area, line 15 of Algorithm A1; a hole takes nothing from the label."""
    _, x1, y1, x2, y2, _, weight = rows.T.astype(float)
    taken = (x2 - x1) * (y2 - y1) / area * (1 - weight / ONE)
    return np.where(rows[:, PARTNER] == HOLE, 1.0, 1 - taken).astype(np.float32)

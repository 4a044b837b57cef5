"""Random crops and plans, and the batch that the fused pass has to make of them, in float64 NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

import dali_cutmix as dc
from dali_cutmix.fused.batch_layout import BatchFormat
from dali_cutmix.fused.cpu import is_compiled
from dali_cutmix.mixing.plan import COLUMNS, HOLE, ONE

LEVEL = 1 / 57.12  # one of 255 levels, after normalization


def taps(length_in, length_out):
    """The antialiased triangle filter as a dense matrix; pixels beyond the border count as the border's."""
    matrix = np.zeros((length_out, length_in))
    ratio = length_in / length_out
    support = max(ratio, 1.0)
    for out in range(length_out):
        centre = (out + 0.5) * ratio
        for i in range(int(np.floor(centre - support)) - 1, int(np.ceil(centre + support)) + 1):
            share = max(0.0, 1 - abs(i + 0.5 - centre) / support)
            matrix[out, min(max(i, 0), length_in - 1)] += share
    return matrix / matrix.sum(1, keepdims=True)


def oracle(crops, plan, size):
    """Resize every crop whole, in float64, then flip, paste, normalize: what the kernel does in one pass."""
    resized = []
    for crop, row in zip(crops, plan, strict=True):
        image = np.einsum("yh,hwc,xw->yxc", taps(crop.shape[0], size), crop.astype(float), taps(crop.shape[1], size))
        resized.append((image[:, ::-1] if row[5] else image) - np.array(dc.IMAGENET_MEAN))
    out = np.stack(resized)
    for mixed, (partner, x1, y1, x2, y2, _, weight) in zip(out, plan, strict=True):
        share = weight / ONE
        other = 0 if partner == HOLE else resized[partner][y1:y2, x1:x2]
        mixed[y1:y2, x1:x2] = share * mixed[y1:y2, x1:x2] + (1 - share) * other
    return (out / np.array(dc.IMAGENET_STD)).transpose(0, 3, 1, 2)


@st.composite
def batches(draw):
    """Random crops, a plan for them, and the size of the output."""
    n, size = draw(st.integers(1, 5)), draw(st.integers(1, 24))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    crops = [random.integers(0, 256, (*random.integers(1, 70, 2), 3), dtype=np.uint8) for _ in range(n)]
    plan = np.zeros((n, len(COLUMNS)), np.int32)
    for row in plan:
        kind = draw(st.sampled_from(["paste", "hole", "blend", "nothing"]))
        (x1, x2), (y1, y2) = (sorted(random.integers(0, size + 1, 2)) for _ in "xy")
        weight = draw(st.sampled_from([0, 1, ONE // 3, ONE])) if kind == "blend" else 0
        box = {"blend": (0, 0, size, size), "nothing": (0, 0, 0, 0)}.get(kind, (x1, y1, x2, y2))
        row[:] = HOLE if kind == "hole" else random.integers(n), *box, random.integers(2), weight
    return crops, plan, size


needs_compiled = pytest.mark.skipif(not is_compiled(), reason="dali_cutmix was built without a C++ compiler")


def format_of(size, dtype=torch.float32, channels_last=False):
    """A format of the output with ImageNet's normalization."""
    return BatchFormat(
        size,
        dtype,
        channels_last,
        tuple(1 / s for s in dc.IMAGENET_STD),
        tuple(-m / s for m, s in zip(dc.IMAGENET_MEAN, dc.IMAGENET_STD, strict=True)),
    )

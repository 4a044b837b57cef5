"""Memory layout for both kernels of the fused pass: a table of samples in, a batch of a given format out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from nvidia.dali import types
from nvidia.dali.tensors import TensorListCPU, TensorListGPU
from torch import Tensor

from dali_cutmix.mixing import COLUMNS, PARTNER

SAMPLE = np.dtype(
    [
        ("pixels", np.uint64),
        ("height", np.int32),
        ("width", np.int32),
        ("plan", np.int32, len(COLUMNS)),
        ("pitch", np.int32),
    ]
)
"""A crop and its plan row, ``struct Sample`` of resample.cpp and resample.cu."""
DTYPES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}
"""Numbers of the dtypes, ``enum Dtype`` of resample.cpp."""


@dataclass(frozen=True)
class BatchFormat:
    """The format of a batch of images, N×3×size×size.

    Args:
        size: side of the images in pixels.
        dtype: float32, float16 or bfloat16.
        channels_last: memory format.
        scale, shift: of each channel; normalized = value · scale + shift.
    """

    size: int
    dtype: torch.dtype
    channels_last: bool
    scale: tuple[float, ...]
    shift: tuple[float, ...]

    def bytes(self, n: int) -> int:
        """Size in bytes of a batch of ``n`` images."""
        return n * 3 * self.size**2 * self.dtype.itemsize

    def view(self, memory: Tensor, n: int) -> Tensor:
        """View memory of that many bytes as N×3×size×size."""
        images = memory.view(self.dtype)
        if self.channels_last:
            return images.view(n, self.size, self.size, 3).permute(0, 3, 1, 2)
        return images.view(n, 3, self.size, self.size)


def sample_table(crops: Any, plan: np.ndarray, windows: np.ndarray | None = None) -> np.ndarray:
    """Make the table that the kernels read, one ``SAMPLE`` for each crop.

    Args:
        crops: N arrays H×W×3, uint8, contiguous, each of its own size: a DALI ``TensorList``, or a sequence of NumPy
            arrays.
        plan: N×7, int32.
        windows: N×4, whole numbers: y, x, height and width in pixels of the region to use of each crop; by default all
            of it.

    Raises:
        ValueError: crops of another shape, dtype or memory layout, windows that reach beyond them, or a plan for
            another batch.
    """
    n = len(crops)
    plan = np.asarray(plan)
    if plan.shape != (n, len(COLUMNS)) or (n and plan[:, PARTNER].max() >= n):
        raise ValueError(
            f"Resample: {n} crops and a plan of shape {plan.shape} given; expected one row of {len(COLUMNS)} for each "
            "crop, with partners from this batch (dali_cutmix.mixing.make_plan makes them)."
        )
    samples = np.empty(n, SAMPLE)
    # Sample by sample, but with the cheapest call for each: this is the host's part of the fused pass.
    if isinstance(crops, (TensorListCPU, TensorListGPU)):
        samples["pixels"] = [crops[i].data_ptr() for i in range(n)]
        shapes = crops.shape() if crops.dtype == types.DALIDataType.UINT8 else [()]
    else:
        samples["pixels"] = [crop.ctypes.data for crop in crops]
        shapes = [crop.shape if crop.dtype == np.uint8 and crop.flags.c_contiguous else () for crop in crops]
    if not n or any(len(shape) != 3 or shape[2] != 3 for shape in shapes):
        raise ValueError(
            f"Resample: {_described(crops)} given; expected at least one, each height×width×3, uint8 and contiguous: "
            "decode to RGB, and leave out dc.normalize: Resample normalizes."
        )
    sides = np.array(shapes).reshape(n, 3)
    samples["pitch"], samples["plan"] = 3 * sides[:, 1], plan
    if windows is not None:
        corners, sides = _check_windows(np.asarray(windows, np.int64), sides)
        samples["pixels"] += (corners[:, 0] * samples["pitch"] + 3 * corners[:, 1]).astype(np.uint64)
    samples["height"], samples["width"] = sides[:, 0], sides[:, 1]
    return samples


def _described(crops: Any) -> str:
    if not len(crops):
        return "0 crops"
    crop = crops[0]
    if isinstance(crops, (TensorListCPU, TensorListGPU)):
        dtype, shape = np.dtype(types.to_numpy_type(crop.dtype)), crop.shape()
    else:
        dtype, shape = crop.dtype, crop.shape
    return f"{len(crops)} crops of {dtype} and shape {tuple(shape)}"


def _check_windows(windows: np.ndarray, sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners and sides of windows, checked to lie within their images."""
    if windows.shape != (len(sides), 4):
        raise ValueError(f"Resample: windows of shape {windows.shape} given; expected one row of 4 for each crop.")
    corners, extents = windows[:, :2], windows[:, 2:]
    beyond = ((corners < 0) | (extents < 1) | (corners + extents > sides[:, :2])).any(1)
    if beyond.any():
        number = int(beyond.argmax())
        raise ValueError(
            f"Resample: window {windows[number].tolist()} (y, x, height, width) given for crop {number}, which has "
            f"{sides[number, 0]}×{sides[number, 1]} pixels; a window lies within its crop and holds at least one pixel."
        )
    return corners, extents


Crops = Sequence[np.ndarray] | TensorListCPU | TensorListGPU

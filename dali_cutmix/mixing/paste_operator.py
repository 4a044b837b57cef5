"""The paste operator: a pure function, images and a plan in, images out.

It uses NumPy on the CPU, and one launch of a CuPy kernel for the whole batch on a GPU; both give the same bits. It runs
on DALI's stream, synchronizes nothing, and reads the plan on the device that the images are on.
"""

from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from nvidia.dali import fn

from dali_cutmix.mixing.plan import ONE

Fill = tuple[int, ...]
THREADS = 256


def _check(images: Sequence[Any], fill: Fill) -> tuple[int, int, int]:
    """Shape of every image of the batch, checked, as is their type."""
    if images[0].dtype != np.uint8:
        raise ValueError(
            f"mix: images of {images[0].dtype} given; expected uint8, levels 0 to 255: mix before dc.normalize and "
            "other operators that make floating point of them."
        )
    shapes = [image.shape for image in images]
    shape = shapes[0]
    if any(other != shape for other in shapes):
        sizes = sorted(set(shapes))[:3]
        raise ValueError(
            f"mix: images of different shapes in one batch ({', '.join(map(str, sizes))}, …); every image needs "
            "the same height, width and channels: resize or crop before dc.mix."
        )
    if len(shape) != 3 or shape[2] > len(fill):
        raise not_an_image(shape, len(fill))
    return shape


def not_an_image(shape: tuple[int, ...], channels: int) -> ValueError:
    """The error for images of another shape than height×width×channels."""
    return ValueError(
        f"mix: images of shape {shape} given; expected height×width×channels, up to {channels} channels: decode to "
        "RGB, and mix before dc.normalize."
    )


def paste_numpy(images: Sequence[np.ndarray], plan: Sequence[np.ndarray], fill: Fill) -> list[np.ndarray]:
    """Flip and paste a batch on the CPU; the reference for the kernel.

    Args:
        images: N arrays H×W×C, uint8.
        plan: N plan rows, int32 (see :mod:`dali_cutmix.mixing.plan`).
        fill: value of each channel in a hole.

    Returns:
        N arrays H×W×C, uint8, in new memory.
    """
    height, width, channels = _check(images, fill)
    out = np.empty((len(images), height, width, channels), np.uint8)
    rows = np.stack(plan)
    flipped = [image[:, ::-1] if row[5] else image for image, row in zip(images, rows, strict=True)]
    for mixed, own, (partner, x1, y1, x2, y2, _, weight) in zip(out, flipped, rows.tolist(), strict=True):
        mixed[...] = own
        if x1 >= x2 or y1 >= y2:
            continue
        box = np.s_[y1:y2, x1:x2]
        if partner < 0:
            mixed[box] = fill[:channels]
        elif weight == 0:
            mixed[box] = flipped[partner][box]
        else:
            mixed[box] = (
                own[box] * np.uint32(weight) + flipped[partner][box] * np.uint32(ONE - weight) + ONE // 2
            ) >> 16
    return list(out)


@cache
def _kernel() -> Any:
    import cupy

    return cupy.RawKernel(files("dali_cutmix.mixing").joinpath("paste.cu").read_text(), "paste")


def paste_cupy(images: Sequence[Any], plan: Sequence[Any], fill: Fill) -> list[Any]:
    """Flip and paste a batch on the GPU, with one kernel launch on CuPy's current stream, which is DALI's.

    Arguments and result are those of :func:`paste_numpy`, as CuPy arrays.
    """
    import cupy

    n = len(images)
    height, width, channels = _check(images, fill)
    out = cupy.empty((n, height, width, channels), cupy.uint8)
    pointers = cupy.asarray(np.array([array.data.ptr for array in (*images, *plan)], np.uint64))
    grid = (-(-height * width // THREADS), n)
    arguments = (pointers, np.int32(n), np.int32(height), np.int32(width), np.int32(channels), _uchar4(fill), out)
    _kernel()(grid, (THREADS,), arguments)
    return list(out)


def _uchar4(fill: Fill) -> np.ndarray:
    return np.array([(*fill, 0, 0, 0)[:4]], np.uint8).view(np.dtype([(c, np.uint8) for c in "xyzw"]))[0]


def paste(images: Any, rows: Any, fill: Fill) -> Any:
    """Flip and paste, as a node of a DALI graph.

    Args:
        images: H×W×C uint8.
        rows: plan rows, on the same device.
        fill: value of each channel in a hole.

    Returns:
        H×W×C uint8, layout HWC, on that device.
    """
    function: Callable[..., list[Any]] = paste_numpy if images.device == "cpu" else paste_cupy
    return fn.python_function(
        images,
        rows,
        function=lambda batch, plan: function(batch, plan, fill),
        batch_processing=True,
        num_outputs=1,
        device=images.device,
        output_layouts="HWC",
    )

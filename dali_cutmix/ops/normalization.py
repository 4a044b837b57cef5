"""Normalize: uint8 images to floating point, channels first or last."""

from typing import Any

import torch
from nvidia.dali import fn, types

from dali_cutmix._dali import verb
from dali_cutmix.ops.graph_notes import notes

IMAGENET_MEAN = (123.675, 116.28, 103.53)
"""Mean of ImageNet's pixels for each RGB channel, in levels of 0 to 255."""
IMAGENET_STD = (58.395, 57.12, 57.375)
"""Standard deviation of ImageNet's pixels for each RGB channel, in levels of 0 to 255."""

# DALI writes no bfloat16: the Loader casts at the hand-off.
_DALI_DTYPE = {torch.float32: types.FLOAT, torch.float16: types.FLOAT16, torch.bfloat16: types.FLOAT}


def as_dtype(dtype: torch.dtype | str) -> torch.dtype:
    """Check a dtype of images, given as torch's or by name: float32, float16 or bfloat16.

    Raises:
        ValueError: another dtype was given.
    """
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(found, torch.dtype) or found not in _DALI_DTYPE:
        raise ValueError(f"dtype={dtype!r} given; allowed are torch.float32, torch.float16 and torch.bfloat16.")
    return found


@verb
def normalize(
    images: Any,
    *,
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
    dtype: torch.dtype | str = torch.float32,
    channels_last: bool = False,
) -> Any:
    """Convert images to floating point, (image − mean) / std for each channel; holes of ``Cutout`` become exactly 0.

    Args:
        images: H×W×C uint8, on CPU or GPU.
        mean, std: one value for each channel, in levels from 0 to 255.
        dtype: float32, float16 or bfloat16 (for the last, DALI writes float32 and the ``Loader`` casts).
        channels_last: write H×W×C; the ``Loader`` delivers N×C×H×W in torch's channels_last format.

    Returns:
        C×H×W (layout CHW), or H×W×C (layout HWC) with ``channels_last``.

    Raises:
        ValueError: an invalid dtype.

    Example:
        >>> @pipeline_def(batch_size=4, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_folder("photos")
        ...     images = dc.random_resized_crop(jpegs, 64)
        ...     return dc.normalize(images, dtype="bfloat16"), labels
        >>> images, labels = next(iter(dc.Loader(graph())))
        >>> images.dtype, images.shape
        (torch.bfloat16, torch.Size([4, 3, 64, 64]))
    """
    graph = notes()
    graph.dtype = as_dtype(dtype)
    layout = "HWC" if channels_last else "CHW"
    images = fn.crop_mirror_normalize(
        images, dtype=_DALI_DTYPE[graph.dtype], output_layout=layout, mean=list(mean), std=list(std)
    )
    if graph.holes is None:
        return images
    anchor, end = graph.holes[:2], graph.holes[2:]
    return fn.erase(images, anchor=anchor, shape=end - anchor, axis_names="WH", fill_value=0.0)

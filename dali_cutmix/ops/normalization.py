"""Normalize: uint8 images to floating point, channels first or last."""

from collections.abc import Sequence
from typing import Any

import torch
from nvidia.dali import fn, types

from dali_cutmix._dali import nearest, verb
from dali_cutmix.ops.graph_notes import Mixed, Notes, notes
from dali_cutmix.utils import check_levels

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
        raise ValueError(
            f"dtype={dtype!r} given; allowed are torch.float32, torch.float16 and torch.bfloat16, or their names: "
            "'float32', 'float16' and 'bfloat16'."
        )
    return found


@verb
def normalize(
    images: Any,
    *,
    mean: float | Sequence[float] = IMAGENET_MEAN,
    std: float | Sequence[float] = IMAGENET_STD,
    dtype: torch.dtype | str = torch.float32,
    channels_last: bool = False,
) -> Any:
    """Convert images to floating point, (image − mean) / std for each channel; holes of ``Cutout`` become exactly 0.

    A graph may have several: each fills the holes of the mix that its own images come from, and gives its own output
    its dtype. Between mix and normalize only nodes that leave every pixel where it is may stand (colours, a blur, a
    cast): holes do not move with a flip, a rotation or a crop.

    Args:
        images: H×W×C uint8, on CPU or GPU.
        mean, std: one number for all channels, or three, one for each channel, in levels from 0 to 255: values for
            pixels of 0 to 1, such as 0.485, are refused. ``mean=0, std=1`` leaves levels as they are.
        dtype: float32, float16 or bfloat16 (for the last, DALI writes float32 and the ``Loader`` casts).
        channels_last: write H×W×C; the ``Loader`` delivers N×C×H×W in torch's channels_last format.

    Returns:
        C×H×W (layout CHW), or H×W×C (layout HWC) with ``channels_last``.

    Raises:
        ValueError: an invalid dtype, mean or std; or images that come from several mixes, of which one makes holes.

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
    means, stds = check_levels(mean, std)
    found = as_dtype(dtype)
    holes = _holes_of(graph, images)
    layout = "HWC" if channels_last else "CHW"
    images = fn.crop_mirror_normalize(
        images, dtype=_DALI_DTYPE[found], output_layout=layout, mean=list(means), std=list(stds)
    )
    if holes is not None:
        anchor, end = _corners(holes)
        images = fn.erase(images, anchor=anchor, shape=end - anchor, axis_names="WH", fill_value=0.0)
    graph.dtypes[images.name] = found
    return images


def _corners(holes: Any) -> tuple[Any, Any]:
    try:
        return holes[:2], holes[2:]
    except ValueError as error:  # with conditionals, DALI refuses a node of a branch outside of it
        raise ValueError(
            "normalize: images given whose Cutout is inside an if of the graph; the holes are known only there. "
            "Normalize inside the if, too (in both branches); or mix outside, and let dc.Cutout(probability=…) or "
            "dc.OneOf say how often."
        ) from error


def _holes_of(graph: Notes, images: Any) -> Any:
    """Node with the holes of the mix that images come from; None without any."""
    sources: list[Mixed] = nearest(images, graph.mixed)
    with_holes = [mixed.holes for mixed in sources if mixed.holes is not None]
    if with_holes and len(sources) > 1:
        names = " and ".join(repr(mixed.mix) for mixed in sources)
        raise ValueError(
            f"normalize: images that come from the mixes {names} given, and a Cutout among these makes holes; the "
            "holes of one mix would be cut into the images of another. Normalize the images of each mix by themselves, "
            "then join them."
        )
    return with_holes[0] if with_holes else None

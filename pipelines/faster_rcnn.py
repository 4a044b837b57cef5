"""Faster R-CNN's training and evaluation images, for VOC, COCO or any data in their form (paper, C)."""

import os
from typing import Any, Literal

import torch
from nvidia.dali import fn, math, pipeline_def, types

import dali_cutmix as dc
from dali_cutmix.utils import check_size
from pipelines.annotations import Annotated
from pipelines.detection_ops import (
    check_chances,
    decode,
    flip_all,
    in_pixels,
    objects_of,
    pad_objects,
    read_images,
    resize,
)


def train(
    annotated: Annotated,
    *,
    batch_size: int = 8,
    short_side: int = 600,
    long_side: int = 1000,
    device: str | torch.device = "auto",
    shard: tuple[int, int] = (0, 1),
    seed: int = 0,
    num_threads: int | None = None,
    prefetch: int = 2,
    dtype: torch.dtype | str = torch.float32,
    channels_last: bool = False,
    mean: tuple[float, ...] = dc.IMAGENET_MEAN,
    std: tuple[float, ...] = dc.IMAGENET_STD,
    flip: float = 0.5,
    max_pixels: int = dc.MAX_PIXELS,
    on_error: Literal["raise", "replace"] = "raise",
    max_bad: float = 0.01,
    bad_log: str | os.PathLike[str] = "bad_files.jsonl",
) -> dc.Loader:
    """Whole images with their ratio kept, flipped, normalized, and padded with zeros to the batch's largest.

    An image of H×W becomes round(H·s) × round(W·s) with s = min(short_side / min(H, W), long_side / max(H, W)), halves
    rounded up: the shorter side has ``short_side`` pixels, unless the longer one would then have more than
    ``long_side``. Difficult objects are left out, and so are images without others, as in ``ssd.py``.

    Args:
        annotated: from ``pipelines.voc.read`` or ``pipelines.coco.read``.
        short_side, long_side: in pixels.
        flip: chance of a horizontal flip; 0 where mirroring changes the meaning (digits, text).

    The other arguments are those of ``pipelines.imagenet.train``.

    Returns:
        A loader of images N×3×H×W, where H and W are the largest height and width in the batch; boxes N×M×4 float32,
        x1, y1, x2, y2 in pixels of these images; labels N×M int64, see ``pipelines.ssd.train``; and sizes N×2 int64:
        height and width of each image within its padding, which lies on the right and below.

    Raises:
        ValueError: before anything is decoded; the message says what to mend.
    """
    _check_sides(short_side, long_side)
    chances = check_chances(flip=flip)
    objects = annotated.for_training()
    noted_down = {"detector": "faster_rcnn", "short_side": short_side, "long_side": long_side, **chances}

    @pipeline_def
    def graph() -> Any:
        jpegs, numbers = read_images(objects.paths, objects.classes, shard=shard, seed=seed)
        images, sides = decode(jpegs, objects, max_pixels, **noted_down)
        boxes, labels = objects_of(numbers, objects)
        sides = fitted(sides, short_side, long_side)
        images, boxes = flip_all(_resized(images, sides), boxes, flip)
        images = dc.normalize(images, mean=mean, std=std, dtype=dtype, channels_last=channels_last)
        return fn.pad(images, axis_names="HW"), *pad_objects(in_pixels(boxes, sides), labels), sides

    options = dc.pipeline_options(
        batch_size, device=device, num_threads=num_threads, prefetch=prefetch, seed=seed, shard=shard
    )
    return dc.Loader(graph(**options), on_error=on_error, max_bad=max_bad, bad_log=bad_log)


def val(
    annotated: Annotated,
    *,
    batch_size: int = 8,
    short_side: int = 600,
    long_side: int = 1000,
    device: str | torch.device = "auto",
    shard: tuple[int, int] = (0, 1),
    num_threads: int | None = None,
    prefetch: int = 2,
    dtype: torch.dtype | str = torch.float32,
    channels_last: bool = False,
    mean: tuple[float, ...] = dc.IMAGENET_MEAN,
    std: tuple[float, ...] = dc.IMAGENET_STD,
    max_pixels: int = dc.MAX_PIXELS,
    on_error: Literal["raise", "replace"] = "raise",
    max_bad: float = 0.01,
    bad_log: str | os.PathLike[str] = "bad_files.jsonl",
) -> dc.Loader:
    """Every image exactly once, in order, resized as in training, normalized and padded.

    Arguments and errors are those of :func:`train`.

    Returns:
        A loader of images N×3×H×W, see :func:`train`; their numbers in ``annotated``, N int64; and sizes N×2 int64:
        height and width of each image within its padding. The last batch is smaller.
    """
    _check_sides(short_side, long_side)
    noted_down = {"detector": "faster_rcnn", "short_side": short_side, "long_side": long_side}

    @pipeline_def
    def graph() -> Any:
        jpegs, numbers = read_images(annotated.paths, annotated.classes, shard=shard, shuffle=False)
        images, sides = decode(jpegs, annotated, max_pixels, **noted_down)
        sides = fitted(sides, short_side, long_side)
        images = dc.normalize(_resized(images, sides), mean=mean, std=std, dtype=dtype, channels_last=channels_last)
        return fn.pad(images, axis_names="HW"), numbers, sides

    options = dc.pipeline_options(batch_size, device=device, num_threads=num_threads, prefetch=prefetch, shard=shard)
    return dc.Loader(graph(**options), on_error=on_error, max_bad=max_bad, bad_log=bad_log)


def fitted(sides: Any, short_side: int, long_side: int) -> Any:
    """Height and width of each image once it is resized, 2 int64, from those before; see :func:`train`."""
    shorter, longer = fn.reductions.min(sides), fn.reductions.max(sides)
    is_long = fn.cast(longer * short_side > shorter * long_side, dtype=types.INT64)
    wanted = short_side + is_long * (long_side - short_side)
    given = shorter + is_long * (longer - shorter)
    return math.max((2 * sides * wanted + given) // (2 * given), 1)


def _resized(images: Any, sides: Any) -> Any:
    return resize(images, fn.cast(sides, dtype=types.FLOAT))


def _check_sides(short_side: int, long_side: int) -> None:
    check_size("short_side", short_side)
    check_size("long_side", long_side)
    if short_side > long_side:
        raise ValueError(f"short_side={short_side} given with long_side={long_side}; the longer is at least as long.")

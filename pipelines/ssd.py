"""SSD's training and evaluation images, for VOC, COCO or any data in their form (paper, C)."""

import os
from typing import Any, Literal

import torch
from nvidia.dali import pipeline_def

import dali_cutmix as dc
from dali_cutmix.utils import check_size
from pipelines.annotations import Annotated
from pipelines.detection_ops import check_chances, decode, flip_all, objects_of, pad_objects, read_images, resize
from pipelines.ssd_augmentation import cut, zoom_and_crop


def train(
    annotated: Annotated,
    *,
    batch_size: int = 32,
    size: int = 300,
    device: str | torch.device = "auto",
    shard: tuple[int, int] = (0, 1),
    seed: int = 0,
    num_threads: int | None = None,
    prefetch: int = 2,
    dtype: torch.dtype | str = torch.float32,
    channels_last: bool = False,
    mean: tuple[float, ...] = dc.IMAGENET_MEAN,
    std: tuple[float, ...] = dc.IMAGENET_STD,
    distort: float = 0.5,
    zoom_out: float = 0.5,
    flip: float = 0.5,
    max_pixels: int = dc.MAX_PIXELS,
    on_error: Literal["raise", "replace"] = "raise",
    max_bad: float = 0.01,
    bad_log: str | os.PathLike[str] = "bad_files.jsonl",
) -> dc.Loader:
    """SSD's augmentation: colours distorted, zoomed out, cropped around objects, resized to a square, flipped.

    1. With the chance ``distort`` each: brightness ± 32 of 255 levels, contrast × 0.5 to 1.5, saturation × 0.5 to 1.5,
       hue ± 18° (the last two in DALI's linear approximation).
    2. With the chance ``zoom_out``: the image lies at random on a canvas of ``mean`` with sides 1 to 4 times as long.
    3. The whole, or a crop of it whose sides are 0.3 to 1 of the whole's, width:height 0.5 to 2, and whose IoU with at
       least one object reaches 0, 0.1, 0.3, 0.5, 0.7 or 0.9: seven ways, equally likely, drawn again where 50 crops
       in one of them have failed. Objects whose centre lies in the crop, at least one, are kept, and cut off at its
       border.

    As in ``ssd.pytorch``, which the paper used, difficult objects are left out, and so are images without others.

    Args:
        annotated: from ``pipelines.voc.read`` or ``pipelines.coco.read``.
        size: side of the images in pixels.
        distort, zoom_out, flip: chances; ``flip=0`` where mirroring changes the meaning (digits, text).

    The other arguments are those of ``pipelines.imagenet.train``.

    Returns:
        A loader of images N×3×``size``×``size``; boxes N×M×4 float32, x1, y1, x2, y2 in pixels of these images; and
        labels N×M int64. M is the largest number of objects in the batch; where an image has fewer, boxes of zeros
        with label −1 follow. ``loader.classes`` names the classes.

    Raises:
        ValueError: before anything is decoded; the message says what to mend.
    """
    check_size("size", size)
    chances = check_chances(distort=distort, zoom_out=zoom_out, flip=flip)
    objects = annotated.for_training()

    @pipeline_def
    def graph() -> Any:
        jpegs, numbers = read_images(objects.paths, objects.classes, shard=shard, seed=seed)
        images, sides = decode(jpegs, objects, max_pixels, detector="ssd", size=size, **chances)
        corner, extent, boxes, labels = zoom_and_crop(*objects_of(numbers, objects), sides, zoom_out)
        images = cut(images, corner, extent, size, mean, distort)
        images, boxes = flip_all(images, boxes, flip)
        images = dc.normalize(images, mean=mean, std=std, dtype=dtype, channels_last=channels_last)
        return images, *pad_objects(boxes * float(size), labels)

    options = dc.pipeline_options(
        batch_size, device=device, num_threads=num_threads, prefetch=prefetch, seed=seed, shard=shard
    )
    return dc.Loader(graph(**options), on_error=on_error, max_bad=max_bad, bad_log=bad_log)


def val(
    annotated: Annotated,
    *,
    batch_size: int = 32,
    size: int = 300,
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
    """Every image exactly once, in order, resized to a square whatever its shape, and normalized.

    Arguments and errors are those of :func:`train`.

    Returns:
        A loader of images N×3×``size``×``size``; their numbers in ``annotated``, N int64; and N×2 int64, ``size`` and
        ``size``: height and width of the images as the model sees them. The last batch is smaller.
    """
    check_size("size", size)

    @pipeline_def
    def graph() -> Any:
        jpegs, numbers = read_images(annotated.paths, annotated.classes, shard=shard, shuffle=False)
        images, sides = decode(jpegs, annotated, max_pixels, detector="ssd", size=size)
        images = resize(images, [size, size])
        images = dc.normalize(images, mean=mean, std=std, dtype=dtype, channels_last=channels_last)
        return images, numbers, sides * 0 + size

    options = dc.pipeline_options(batch_size, device=device, num_threads=num_threads, prefetch=prefetch, shard=shard)
    return dc.Loader(graph(**options), on_error=on_error, max_bad=max_bad, bad_log=bad_log)

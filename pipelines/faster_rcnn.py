"""Faster R-CNN's training and evaluation batches for VOC, COCO or any data in their layouts (paper, C).

    Annotated ──read_images──▶ JPEGs, numbers
    numbers ──objects_of──▶ boxes, labels
    JPEGs ──decode──▶ images ──resize──▶ images of their own sizes
    images, boxes ──flip_all──▶ normalize, pad, pad_objects ──▶ Loader ──▶ images, boxes, labels, sizes

Copy this file into your project: all that it imports is installed with dali_cutmix. ``voc.py`` and ``coco.py`` read
annotations.
"""

from typing import Any, Unpack

from nvidia.dali import fn, math, pipeline_def, types

import dali_cutmix as dc
from dali_cutmix.utils import check_chances, check_size


def train(
    annotated: dc.detection.Annotated,
    *,
    short_side: int = 600,
    long_side: int = 1000,
    flip: float = 0.5,
    seed: int = 0,
    **options: Unpack[dc.CommonOptions],
) -> dc.Loader:
    """Whole images with their aspect ratio, flipped, normalized, and padded with zeros to the largest of the batch.

    An image of H×W becomes round(H·s) × round(W·s) with s = min(short_side / min(H, W), long_side / max(H, W)), halves
    rounded up: the shorter side has ``short_side`` pixels, unless the longer one would then have more than
    ``long_side``.

        600, 1000     375×500 ──▶ 600×800     333×500 ──▶ 600×901     200×500 ──▶ 400×1000 (height×width)

    Difficult objects are left out, and so are images with no others, as in ``ssd.py``.

    Args:
        annotated: from ``voc.read``, ``coco.read`` or ``dc.detection.annotate``.
        short_side, long_side: limits of the sides in pixels, see above.
        flip: chance of a horizontal flip; 0 where mirroring changes the meaning (digits, text).
        seed: seed of order and flips; the same for all ranks.
        options: see ``dc.CommonOptions``; ``batch_size`` is 8 by default.

    Returns:
        A loader of images N×3×H×W, where H and W are the largest height and width in the batch; boxes N×M×4 float32,
        x1, y1, x2, y2 in pixels of these images; labels N×M int64; and sizes N×2 int64: height and width of each image
        within its padding, which is on the right and below. M is the largest number of objects in the batch; images
        with fewer have boxes of zeros with label −1 at the end. ``loader.classes`` names the classes.

    Raises:
        ValueError, TypeError: before anything is decoded; the message says how to fix it.

    Example:
        >>> from pipelines import faster_rcnn, voc
        >>> loader = faster_rcnn.train(voc.read("VOCdevkit", "train"), batch_size=2, device="cpu")
        >>> images, boxes, labels, sizes = next(iter(loader))
        >>> images.shape, sizes.tolist()  # the files have 40×60 pixels
        (torch.Size([2, 3, 600, 900]), [[600, 900], [600, 900]])
    """
    groups = dc.split_options(options, seed=seed, batch_size=8)
    short_side, long_side = _check_sides(short_side, long_side)
    chances = check_chances(flip=flip)
    objects = annotated.for_training()

    @pipeline_def(**groups.pipeline)
    def graph() -> Any:
        jpegs, numbers = dc.detection.read_images(objects.paths, objects.classes, shard=groups.shard, seed=seed)
        images, sides = dc.detection.decode(jpegs, objects, **groups.crop)
        dc.bind_state(detector="faster_rcnn", short_side=short_side, long_side=long_side, **chances)
        boxes, labels = dc.detection.objects_of(numbers, objects)
        sides = fitted(sides, short_side, long_side)
        images, boxes = dc.detection.flip_all(_resized(images, sides), boxes, flip)
        images = fn.pad(dc.normalize(images, **groups.normalize), axis_names="HW")
        return images, *dc.detection.pad_objects(dc.detection.in_pixels(boxes, sides), labels), sides

    return dc.Loader(graph(), **groups.loader)


def val(
    annotated: dc.detection.Annotated,
    *,
    short_side: int = 600,
    long_side: int = 1000,
    **options: Unpack[dc.CommonOptions],
) -> dc.Loader:
    """Each image exactly once, in order, resized as in training, normalized and padded.

    Arguments and errors are those of :func:`train`.

    Returns:
        A loader of images N×3×H×W, see :func:`train`; their numbers in ``annotated``, N int64; and sizes N×2 int64:
        height and width of each image within its padding. The last batch is smaller.

    Example:
        >>> from pipelines import faster_rcnn, voc
        >>> loader = faster_rcnn.val(voc.read("VOCdevkit", "val"), batch_size=2, device="cpu")
        >>> [(numbers.tolist(), sizes.tolist()) for images, numbers, sizes in loader]
        [([0, 1], [[600, 900], [600, 900]])]
    """
    groups = dc.split_options(options, batch_size=8)
    short_side, long_side = _check_sides(short_side, long_side)

    @pipeline_def(**groups.pipeline)
    def graph() -> Any:
        paths, classes = annotated.paths, annotated.classes
        jpegs, numbers = dc.detection.read_images(paths, classes, shard=groups.shard, shuffle=False)
        images, sides = dc.detection.decode(jpegs, annotated, **groups.crop)
        dc.bind_state(detector="faster_rcnn", short_side=short_side, long_side=long_side)
        sides = fitted(sides, short_side, long_side)
        images = dc.normalize(_resized(images, sides), **groups.normalize)
        return fn.pad(images, axis_names="HW"), numbers, sides

    return dc.Loader(graph(), **groups.loader)


def fitted(sides: Any, short_side: int, long_side: int) -> Any:
    """Height and width of each image after resizing, 2 int64, from those before; see :func:`train`."""
    shorter, longer = fn.reductions.min(sides), fn.reductions.max(sides)
    is_long = fn.cast(longer * short_side > shorter * long_side, dtype=types.INT64)
    wanted = short_side + is_long * (long_side - short_side)
    given = shorter + is_long * (longer - shorter)
    return math.max((2 * sides * wanted + given) // (2 * given), 1)


def _resized(images: Any, sides: Any) -> Any:
    return dc.detection.resize(images, fn.cast(sides, dtype=types.FLOAT))


def _check_sides(short_side: int, long_side: int) -> tuple[int, int]:
    short_side, long_side = check_size("short_side", short_side), check_size("long_side", long_side)
    if short_side > long_side:
        raise ValueError(
            f"short_side={short_side} given with long_side={long_side}; long_side must be at least short_side."
        )
    return short_side, long_side

"""SSD's training and evaluation batches for VOC, COCO or any data in their layouts (paper, C).

    Annotated ──read_images──▶ JPEGs, numbers
    numbers ──objects_of──▶ boxes, labels ──zoom_and_crop──▶ a window of each image, with the boxes and labels in it
    JPEGs ──decode──▶ images ──cut──▶ windows, resampled, with distorted colours
    windows, boxes ──flip_all──▶ normalize, pad_objects ──▶ Loader ──▶ images, boxes, labels

The augmentation follows Liu et al., ECCV 2016, 2.2 and 3.6. ``ssd.pytorch`` departs from it, and this file does not: it
leaves out the overlap of 0.5, does not enforce the others (its test needs two conditions that never hold together), and
swaps colour channels.

Copy this file into your project: all that it imports is installed with dali_cutmix. ``voc.py`` and ``coco.py`` read
annotations.
"""

from typing import Any, Unpack

from nvidia.dali import fn, math, pipeline_def, types

import dali_cutmix as dc
from dali_cutmix.utils import check_chances, check_levels, check_size

THRESHOLDS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
"""A crop must reach one of these overlaps (IoU), drawn at random, with at least one object; 0 allows any crop."""
ATTEMPTS = 50
"""Crops that are tried before another threshold is drawn. Fewer attempts would favour the low thresholds."""
_MIDDLE = 128.0  # levels: the middle of uint8 in DALI's color_twist


def train(
    annotated: dc.detection.Annotated,
    *,
    size: int = 300,
    distort: float = 0.5,
    zoom_out: float = 0.5,
    flip: float = 0.5,
    seed: int = 0,
    **options: Unpack[dc.CommonOptions],
) -> dc.Loader:
    """SSD's augmentation: distorted colours, zoom out, a crop around objects, resized to a square, flipped.

    1. With the chance ``distort`` each: brightness ± 32 of 255 levels, contrast × 0.5 to 1.5, saturation × 0.5 to 1.5,
       hue ± 18° (the last two in DALI's linear approximation).
    2. With the chance ``zoom_out``: the image is placed at random on a canvas of ``mean`` with sides 1 to 4 times as
       long.
    3. The whole, or a crop whose sides are 0.3 to 1 of the whole's, with width:height 0.5 to 2, whose IoU with at least
       one object reaches 0, 0.1, 0.3, 0.5, 0.7 or 0.9: seven choices, equally likely, drawn again after 50 failed
       crops. Objects whose centre lies in the crop are kept (at least one) and clipped at its border.

    As in ``ssd.pytorch``, which the paper used, difficult objects are left out, and so are images with no others.

    Args:
        annotated: from ``voc.read``, ``coco.read`` or ``dc.detection.annotate``.
        size: side of the images in pixels.
        distort, zoom_out: chances, see above.
        flip: chance of a horizontal flip; 0 where mirroring changes the meaning (digits, text).
        seed: seed of order and augmentation; the same for all ranks.
        options: see ``dc.CommonOptions``; ``batch_size`` is 32 by default.

    Returns:
        A loader of images N×3×``size``×``size``; boxes N×M×4 float32, x1, y1, x2, y2 in pixels of these images; and
        labels N×M int64. M is the largest number of objects in the batch; images with fewer have boxes of zeros with
        label −1 at the end. ``loader.classes`` names the classes.

    Raises:
        ValueError, TypeError: before anything is decoded; the message says how to fix it.

    Example:
        >>> from pipelines import ssd, voc
        >>> loader = ssd.train(voc.read("VOCdevkit", "train"), batch_size=2, device="cpu")
        >>> images, boxes, labels = next(iter(loader))
        >>> images.shape, boxes.shape[0], boxes.shape[2]
        (torch.Size([2, 3, 300, 300]), 2, 4)
    """
    groups = dc.split_options(options, seed=seed, batch_size=32)
    size = check_size("size", size)
    chances = check_chances(distort=distort, zoom_out=zoom_out, flip=flip)
    fill, _ = check_levels(options.get("mean", dc.IMAGENET_MEAN), dc.IMAGENET_STD)  # three numbers
    objects = annotated.for_training()

    @pipeline_def(**groups.pipeline)
    def graph() -> Any:
        jpegs, numbers = dc.detection.read_images(objects.paths, objects.classes, shard=groups.shard, seed=seed)
        images, sides = dc.detection.decode(jpegs, objects, **groups.crop)
        dc.bind_state(detector="ssd", size=size, **chances)
        corner, extent, boxes, labels = zoom_and_crop(*dc.detection.objects_of(numbers, objects), sides, zoom_out)
        images = cut(images, corner, extent, size, fill, distort)
        images, boxes = dc.detection.flip_all(images, boxes, flip)
        images = dc.normalize(images, **groups.normalize)
        return images, *dc.detection.pad_objects(boxes * float(size), labels)

    return dc.Loader(graph(), **groups.loader)


def val(annotated: dc.detection.Annotated, *, size: int = 300, **options: Unpack[dc.CommonOptions]) -> dc.Loader:
    """Each image exactly once, in order, resized to a square whatever its shape, and normalized.

    Arguments and errors are those of :func:`train`.

    Returns:
        A loader of images N×3×``size``×``size``; their numbers in ``annotated``, N int64; and N×2 int64, ``size`` and
        ``size``: height and width of the images as the model sees them. The last batch is smaller.

    Example:
        >>> from pipelines import ssd, voc
        >>> loader = ssd.val(voc.read("VOCdevkit", "val"), batch_size=2, device="cpu")
        >>> [(numbers.tolist(), sizes.tolist()) for images, numbers, sizes in loader]
        [([0, 1], [[300, 300], [300, 300]])]
    """
    groups = dc.split_options(options, batch_size=32)
    size = check_size("size", size)

    @pipeline_def(**groups.pipeline)
    def graph() -> Any:
        paths, classes = annotated.paths, annotated.classes
        jpegs, numbers = dc.detection.read_images(paths, classes, shard=groups.shard, shuffle=False)
        images, sides = dc.detection.decode(jpegs, annotated, **groups.crop)
        dc.bind_state(detector="ssd", size=size)
        images = dc.detection.resize(images, [size, size])
        return dc.normalize(images, **groups.normalize), numbers, sides * 0 + size

    return dc.Loader(graph(), **groups.loader)


def zoom_and_crop(boxes: Any, labels: Any, sides: Any, chance: float) -> tuple[Any, Any, Any, Any]:
    """Draw a window of each image, which is a part of it or extends past it, and keep the objects in the window.

    Args:
        boxes, labels: objects of whole images, from ``dc.detection.objects_of``.
        sides: height and width of the images.
        chance: chance of zooming out.

    Returns:
        The window's corner and extent, 2 float32 each (x, y), as fractions of the image, from below 0 to above 1; boxes
        as fractions of the window; their labels.
    """
    boxes, ratio, place = zoom(boxes, chance)
    corner, extent, boxes, labels = crop(boxes, labels, sides)
    return corner * ratio - place * (ratio - 1.0), extent * ratio, boxes, labels


def zoom(boxes: Any, chance: float) -> tuple[Any, Any, Any]:
    """Draw a canvas around each image, with a chance.

    Returns:
        Boxes as fractions of the canvas; the ratio of its sides to the image's, 1 to 4; and the place of the image on
        it, 2 float32 (x, y): 0 at the left or upper border, 1 at the opposite one.
    """
    ratio = 1.0 + fn.random.coin_flip(probability=chance) * fn.random.uniform(range=[0.0, 3.0])
    place = fn.random.uniform(range=[0.0, 1.0], shape=[2])
    boxes = fn.bbox_paste(boxes, ltrb=True, paste_x=place[0], paste_y=place[1], ratio=ratio)
    return math.clamp(boxes, 0.0, 1.0), ratio, place  # random_bbox_crop fails at a corner of 1.0000001


def crop(boxes: Any, labels: Any, sides: Any) -> tuple[Any, Any, Any, Any]:
    """Draw a crop around objects, or keep the whole.

    Returns:
        The crop's corner and extent, 2 float32 each (x, y), as fractions of the whole; boxes as fractions of the crop;
        their labels.
    """
    window: Any = fn.random_bbox_crop(
        boxes,
        labels,
        bbox_layout="xyXY",
        input_shape=fn.cast(sides, dtype=types.INT32),
        shape_layout="HW",
        thresholds=list(THRESHOLDS),
        aspect_ratio=[0.5, 2.0],
        scaling=[0.3, 1.0],
        num_attempts=ATTEMPTS,
        all_boxes_above_threshold=False,
        allow_no_crop=True,
    )
    return tuple(window)


def cut(images: Any, corner: Any, extent: Any, size: int, mean: tuple[float, ...], distort: float) -> Any:
    """Resample the window of each image to size×size pixels and distort its colours; ``mean`` fills what has no image.

    Only the visible part of the image is resampled, to the whole pixels that it covers: no canvas of 16 times the area
    is allocated, and colours are distorted where there are the fewest pixels. Some part of the image must be visible: a
    region that lies completely outside ends the process in DALI 2.4.
    """
    first = math.floor(math.clamp(-corner / extent * size, 0.0, size - 1.0) + 0.5)
    last = math.max(math.floor(math.clamp((1.0 - corner) / extent * size, 1.0, float(size)) + 0.5), first + 1.0)
    region = {"roi_start": corner + first / size * extent, "roi_end": corner + last / size * extent}
    seen = dc.detection.resize(
        images, _yx(last - first), **{name: _yx(at) for name, at in region.items()}, roi_relative=True
    )
    return fn.slice(
        distort_colours(seen, distort),
        start=fn.cast(-first, dtype=types.INT32),
        shape=[size, size],
        axis_names="WH",
        out_of_bounds_policy="pad",
        fill_values=[float(int(value + 0.5)) for value in mean],
    )


def distort_colours(images: Any, chance: float) -> Any:
    """Contrast × (hue and saturation changed + brightness), each of the four with a chance, rounded once."""

    def perhaps(low: float, high: float, else_: float) -> Any:
        drawn = fn.random.coin_flip(probability=chance)
        return drawn * fn.random.uniform(range=[low, high]) + (1 - drawn) * else_

    brightness, contrast = perhaps(-32.0, 32.0, 0.0), perhaps(0.5, 1.5, 1.0)
    saturation, hue = perhaps(0.5, 1.5, 1.0), perhaps(-18.0, 18.0, 0.0)
    # DALI computes factor × (middle + spread × (x − middle)) in one pass, which is contrast × (x + brightness) with
    # these two values. Hue and saturation do not change gray, so brightness may be added before or after them.
    spread = 1.0 / (1.0 + brightness / _MIDDLE)
    return fn.color_twist(images, brightness=contrast / spread, contrast=spread, saturation=saturation, hue=hue)


def _yx(xy: Any) -> Any:
    return fn.stack(xy[1], xy[0])

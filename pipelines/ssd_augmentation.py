"""SSD's augmentation of images with objects: zoom out, crop, distort colours (Liu et al., ECCV 2016; 2.2 and 3.6).

Where ``ssd.pytorch`` departs from it, this does not: that one leaves out the overlap of 0.5, does not check the others
(its test asks for two things of which one is never so), and swaps colour channels.
"""

from typing import Any

from nvidia.dali import fn, math, types

from pipelines.detection_ops import resize

THRESHOLDS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
"""Overlaps (IoU) of which a crop must reach one, drawn at random, with some object; 0 asks for nothing."""
ATTEMPTS = 50
"""Crops that are tried before another threshold is drawn; with few, the easy thresholds win."""
_MIDDLE = 128.0  # levels: what DALI's colour twist takes for the middle of uint8


def zoom_and_crop(boxes: Any, labels: Any, sides: Any, chance: float) -> tuple[Any, Any, Any, Any]:
    """Draw a window of each image: a part of it, or more than it; and see which objects are in it.

    Args:
        boxes, labels, sides: of whole images, see ``pipelines.detection_ops``.
        chance: of zooming out.

    Returns:
        The window's corner and extent, 2 float32 each (x, y), in shares of the image, from below 0 to above 1; boxes
        in shares of the window; their labels.
    """
    boxes, ratio, place = zoom(boxes, chance)
    corner, extent, boxes, labels = crop(boxes, labels, sides)
    return corner * ratio - place * (ratio - 1.0), extent * ratio, boxes, labels


def zoom(boxes: Any, chance: float) -> tuple[Any, Any, Any]:
    """Draw a canvas around each image, with a chance.

    Returns:
        Boxes in shares of the canvas; how many times its sides are as long as the image's, 1 to 4; and where the image
        lies in it, 2 float32 (x, y): 0 at its left or upper border, 1 at the other.
    """
    ratio = 1.0 + fn.random.coin_flip(probability=chance) * fn.random.uniform(range=[0.0, 3.0])
    place = fn.random.uniform(range=[0.0, 1.0], shape=[2])
    boxes = fn.bbox_paste(boxes, ltrb=True, paste_x=place[0], paste_y=place[1], ratio=ratio)
    return math.clamp(boxes, 0.0, 1.0), ratio, place  # a corner of 1.0000001 would end the run in the next step


def crop(boxes: Any, labels: Any, sides: Any) -> tuple[Any, Any, Any, Any]:
    """Draw a crop around objects, or the whole.

    Returns:
        The crop's corner and extent, 2 float32 each (x, y), in shares of the whole; boxes in shares of the crop; their
        labels.
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
    """The window of each image as size×size pixels, its colours distorted; ``mean`` where the window has no image.

    Only what is seen of the image is resampled, to the whole pixels that it covers: no canvas of 16 times its area is
    ever made, and colours are distorted where there are the fewest pixels. Some of the image must be seen: a region
    wholly outside ends the process in DALI 2.4.
    """
    first = math.floor(math.clamp(-corner / extent * size, 0.0, size - 1.0) + 0.5)
    last = math.max(math.floor(math.clamp((1.0 - corner) / extent * size, 1.0, float(size)) + 0.5), first + 1.0)
    region = {"roi_start": corner + first / size * extent, "roi_end": corner + last / size * extent}
    seen = resize(images, _yx(last - first), **{name: _yx(at) for name, at in region.items()}, roi_relative=True)
    return fn.slice(
        distort_colours(seen, distort),
        start=fn.cast(-first, dtype=types.INT32),
        shape=[size, size],
        axis_names="WH",
        out_of_bounds_policy="pad",
        fill_values=[float(int(value + 0.5)) for value in mean],
    )


def distort_colours(images: Any, chance: float) -> Any:
    """Contrast × (colours turned and saturated + brightness), each of the four with a chance, rounded once."""

    def perhaps(low: float, high: float, else_: float) -> Any:
        drawn = fn.random.coin_flip(probability=chance)
        return drawn * fn.random.uniform(range=[low, high]) + (1 - drawn) * else_

    brightness, contrast = perhaps(-32.0, 32.0, 0.0), perhaps(0.5, 1.5, 1.0)
    saturation, hue = perhaps(0.5, 1.5, 1.0), perhaps(-18.0, 18.0, 0.0)
    # In one pass DALI makes factor × (middle + spread × (x − middle)) of x, which is contrast × (x + brightness) with
    # these two; turning and saturating leave gray as it is, so what is added may come before or after them.
    spread = 1.0 / (1.0 + brightness / _MIDDLE)
    return fn.color_twist(images, brightness=contrast / spread, contrast=spread, saturation=saturation, hue=hue)


def _yx(xy: Any) -> Any:
    return fn.stack(xy[1], xy[0])

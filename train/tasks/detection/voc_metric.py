"""Mean average precision of PASCAL VOC 2007 (Everingham et al., IJCV 2010; paper, C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from train.tasks.detection.detections import Detections, Objects, concatenate

RECALLS = np.arange(11) / 10
"""Recalls of the 11 points. Not ``np.arange(0, 1.1, 0.1)``, whose fourth number is rounded to above 3/10."""


@dataclass(frozen=True)
class VocAp:
    """Average precision as VOC 2007 defines it, in percent."""

    mean: float
    """Mean over the classes that have an object that is not difficult."""
    of_class: dict[str, float]
    """Average precision of each class; NaN for a class without such an object."""


def voc2007_ap(
    found: Sequence[Detections], true: Sequence[Objects], classes: Sequence[str], min_iou: float = 0.5
) -> VocAp:
    """Evaluate the detections of all images by the 11-point metric.

    The detections of a class are ranked by falling score, those of equal scores in the given order. A detection is
    assigned to the object of its image and class with the largest IoU, of equal ones the first, if the IoU is at least
    ``min_iou``. It is right if no detection of a higher rank was assigned to the object, ignored if the object is
    difficult, and wrong otherwise. Average precision is the mean, over the recalls 0, 0.1, … 1, of the largest
    precision at that recall or a higher one. x2 and y2 are the last pixels of a box, which is x2 − x1 + 1 wide.

    Example::

        >>> from train.tasks.detection.detections import Detections, Objects
        >>> box = np.array([[10.0, 20.0, 49.0, 59.0]])
        >>> found = [Detections(box, labels=np.array([0]), scores=np.array([0.9]))]
        >>> true = [Objects(box, labels=np.array([0]), difficult=np.array([False]))]
        >>> voc2007_ap(found, true, classes=["dog"]).mean
        100.0

    Args:
        found: detections of each image.
        true: objects of each image.
        classes: names of the classes; labels are their indices.
        min_iou: minimum IoU of a detection and its object.

    Raises:
        ValueError: arrays are not as `Detections` and `Objects` require, or no image has an object to find.
    """
    table = concatenate(found, true, classes)
    of_class = {}
    for number, name in enumerate(classes):
        mine, objects = table.found.labels == number, table.true.labels == number
        order = np.argsort(-table.found.scores[mine], kind="stable")
        difficult = table.true.difficult[objects]
        taken, iou = _largest_overlaps(
            table.found.boxes[mine][order],
            table.found_images[mine][order],
            table.true.boxes[objects],
            table.true_images[objects],
        )
        right, wrong = _judge(taken, iou >= min_iou, difficult)
        of_class[name] = 100 * average_precision(right, wrong, int((~difficult).sum()))
    return VocAp(float(np.nanmean(list(of_class.values()))), of_class)


def average_precision(right: np.ndarray, wrong: np.ndarray, objects: int) -> float:
    """Average precision by 11 points, 0 … 1, or NaN without objects.

    Args:
        right, wrong: N bool each, of detections by falling score; those that are neither are ignored.
        objects: number of objects to find.
    """
    if not objects:
        return float("nan")
    hits = np.cumsum(right)
    precision = hits / np.maximum(hits + np.cumsum(wrong), 1)
    largest_from = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.append(largest_from, 0)[np.searchsorted(hits / objects, RECALLS)].mean())


def _judge(taken: np.ndarray, overlaps: np.ndarray, difficult: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decide which detections, ranked by falling score, are right, and which are wrong."""
    ignored = overlaps.copy()
    ignored[overlaps] = difficult[taken[overlaps]]
    claims = np.flatnonzero(overlaps & ~ignored)
    _, first = np.unique(taken[claims], return_index=True)
    right = np.zeros(len(taken), bool)
    right[claims[first]] = True
    return right, ~right & ~ignored


def _largest_overlaps(
    boxes: np.ndarray, images: np.ndarray, others: np.ndarray, other_images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The index of the other box in the same image with the largest IoU, and that IoU, for each box; 0 and 0 if none.

    ``others`` are sorted by image.
    """
    first = np.searchsorted(other_images, images)
    count = np.searchsorted(other_images, images, side="right") - first
    # All pairs of a box and another one of the same image, consecutively
    begin = np.cumsum(count) - count
    row = np.repeat(np.arange(len(boxes)), count)
    column = np.arange(count.sum()) + (first - begin)[row]
    iou = _iou(boxes[row], others[column])
    which, largest = np.zeros(len(boxes), np.int64), np.zeros(len(boxes))
    some = count > 0
    if some.any():
        largest[some] = np.maximum.reduceat(iou, begin[some])
        which[some] = np.minimum.reduceat(np.where(iou == largest[row], column, len(others)), begin[some])
    return which, largest


def _iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of N pairs of boxes, N×4 each, last pixels included."""
    size = np.minimum(boxes[:, 2:], others[:, 2:]) - np.maximum(boxes[:, :2], others[:, :2]) + 1
    shared = np.maximum(size, 0).prod(axis=1)
    areas = [(b[:, 2:] - b[:, :2] + 1).prod(axis=1) for b in (boxes, others)]
    return shared / (areas[0] + areas[1] - shared)

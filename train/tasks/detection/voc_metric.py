"""Mean average precision of PASCAL VOC 2007 (Everingham et al., IJCV 2010; paper, C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from train.tasks.detection.detections import Detections, Objects, concatenate

RECALLS = np.arange(11) / 10
"""Of the 11 points. Not ``np.arange(0, 1.1, 0.1)``, whose fourth number is over 3/10 by rounding."""


@dataclass(frozen=True)
class VocAp:
    """Average precision by the definition of VOC 2007; percent."""

    mean: float
    """Of the classes that have an object that is not difficult."""
    of_class: dict[str, float]
    """NaN for a class without such an object."""


def voc2007_ap(
    found: Sequence[Detections], true: Sequence[Objects], classes: Sequence[str], min_iou: float = 0.5
) -> VocAp:
    """Judge detections in all images by the 11-point metric.

    By class, detections are taken by falling score, equal ones in the order of images and in an image as given. One
    belongs to the object of its image and class with which it overlaps most, of equal ones the first, if their IoU is
    at least ``min_iou``. It is right if it is the first one there, and left out if the object is difficult; all others
    are wrong. Average precision is the mean, over recall 0, 0.1, … 1, of the largest precision at that recall or a
    higher one. Boxes include their last pixels: they are x2 − x1 + 1 wide.

    Args:
        found: by image.
        true: of the same images.
        classes: names; labels are their numbers.

    Raises:
        ValueError: arrays are not as ``Detections`` and ``Objects`` say, or there is nothing to find.
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
    """The 11-point mean of detections by falling score, N bool each, 0 … 1; NaN without objects."""
    if not objects:
        return float("nan")
    hits = np.cumsum(right)
    precision = hits / np.maximum(hits + np.cumsum(wrong), 1)
    largest_from = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.append(largest_from, 0)[np.searchsorted(hits / objects, RECALLS)].mean())


def _judge(taken: np.ndarray, overlaps: np.ndarray, difficult: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which detections, by falling score, are right, and which are wrong."""
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
    """For each box the one of others, sorted by image, in the same image with the largest IoU, and that; or 0 and 0."""
    first = np.searchsorted(other_images, images)
    count = np.searchsorted(other_images, images, side="right") - first
    # Every box with every other of its image, one after the other
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
    """Of pairs, N×4 each, borders included."""
    size = np.minimum(boxes[:, 2:], others[:, 2:]) - np.maximum(boxes[:, :2], others[:, :2]) + 1
    shared = np.maximum(size, 0).prod(axis=1)
    areas = [(b[:, 2:] - b[:, :2] + 1).prod(axis=1) for b in (boxes, others)]
    return shared / (areas[0] + areas[1] - shared)

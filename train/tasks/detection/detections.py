"""Boxes of images, found and true, checked and put together for metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Detections:
    """What a detector found in one image."""

    boxes: np.ndarray
    """N×4: x1, y1, x2, y2 in pixels. Whoever takes them says what x2 and y2 are: the borders behind the last pixels
    (detectors, COCO), or these pixels themselves (VOC's metric)."""
    labels: np.ndarray
    """N integers, numbers of classes from 0."""
    scores: np.ndarray
    """N, higher for what the detector is surer of."""


@dataclass(frozen=True)
class Objects:
    """What there is in one image."""

    boxes: np.ndarray
    """M×4: x1, y1, x2, y2 in pixels, as in ``Detections``."""
    labels: np.ndarray
    """M integers, numbers of classes from 0."""
    difficult: np.ndarray
    """M bool: objects that a detector need not find."""


@dataclass(frozen=True)
class AllImages:
    """Those of all images, in the order of images and in each as given; boxes and scores are float64."""

    found: Detections
    found_images: np.ndarray
    """N int64: the image of each detection, by its number in the list."""
    true: Objects
    true_images: np.ndarray
    """M int64."""


def concatenate(found: Sequence[Detections], true: Sequence[Objects], classes: Sequence[str]) -> AllImages:
    """Check and join what was found in each image, and what is there.

    Raises:
        ValueError: the lists differ in length, a class comes twice, there is no object that is not difficult, or arrays
            of an image have other shapes or types, numbers that are not finite, boxes that end before they begin, or
            labels of no class; the image is named by its number.
    """
    if len(found) != len(true):
        raise ValueError(f"detections of {len(found)} images and objects of {len(true)} given; they must be the same.")
    if len(set(classes)) < len(classes):
        raise ValueError(f"classes {', '.join(classes)} given; each must be there once.")
    for image, (here, there) in enumerate(zip(found, true, strict=True)):
        _check(image, "detections", here.boxes, here.labels, len(classes), here.scores, "scores")
        _check(image, "objects", there.boxes, there.labels, len(classes), there.difficult, "difficult")
        if there.difficult.dtype != bool:
            raise ValueError(f"image {image}: difficult of its objects is {there.difficult.dtype}; wanted is bool.")
        if not np.isfinite(here.scores).all():
            raise ValueError(f"image {image}: a score of its detections is not finite.")
    check_has_objects([there.difficult for there in true])
    return AllImages(
        Detections(
            np.concatenate([one.boxes for one in found]).astype(np.float64),
            np.concatenate([one.labels for one in found]),
            np.concatenate([one.scores for one in found]).astype(np.float64),
        ),
        np.repeat(np.arange(len(found)), [len(one.boxes) for one in found]),
        Objects(
            np.concatenate([one.boxes for one in true]).astype(np.float64),
            np.concatenate([one.labels for one in true]),
            np.concatenate([one.difficult for one in true]),
        ),
        np.repeat(np.arange(len(true)), [len(one.boxes) for one in true]),
    )


def check_has_objects(difficult: Sequence[np.ndarray]) -> None:
    """Refuse images in which nothing is to be found.

    Args:
        difficult: M bool of each image.

    Raises:
        ValueError: they have no object that is not difficult.
    """
    if all(one.all() for one in difficult):
        raise ValueError("there is no object that is not difficult; there is nothing to find.")


def _check(
    image: int, what: str, boxes: np.ndarray, labels: np.ndarray, classes: int, values: np.ndarray, name: str
) -> None:
    where, count = f"image {image}: ", len(boxes)
    if boxes.shape != (count, 4):
        raise ValueError(f"{where}boxes of its {what} have shape {boxes.shape}; wanted is N×4, x1, y1, x2, y2.")
    for field, array in {"labels": labels, name: values}.items():
        if array.shape != (count,):
            raise ValueError(f"{where}{field} of its {what} have shape {array.shape}; wanted is ({count},), as boxes.")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{where}labels of its {what} are {labels.dtype}; wanted are integers.")
    if not np.isfinite(boxes).all():
        raise ValueError(f"{where}a box of its {what} is not finite.")
    if (wrong := (boxes[:, :2] > boxes[:, 2:]).any(axis=1)).any():
        corners = ", ".join(f"{corner:g}" for corner in boxes[wrong][0])
        raise ValueError(f"{where}the box {corners} of its {what} ends before it begins; wanted is x1, y1, x2, y2.")
    if (out := (labels < 0) | (labels >= classes)).any():
        raise ValueError(f"{where}label {labels[out][0]} of its {what} is of no class; there are 0 to {classes - 1}.")

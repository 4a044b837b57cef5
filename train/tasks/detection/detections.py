"""Detections and true objects of images: their arrays, checked and concatenated for the metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Detections:
    """What a detector found in one image.

    Example, one box of class 3::

        >>> found = Detections(boxes=np.array([[10.0, 20.0, 50.0, 60.0]]), labels=np.array([3]), scores=np.array([0.9]))
    """

    boxes: np.ndarray
    """N×4: x1, y1, x2, y2 in pixels. Each function says whether x2 and y2 are exclusive, as for detectors and COCO, or
    the box's last pixels, as for VOC's metric."""
    labels: np.ndarray
    """N integers, indices of classes, from 0."""
    scores: np.ndarray
    """N confidences of the detector."""


@dataclass(frozen=True)
class Objects:
    """True objects of one image."""

    boxes: np.ndarray
    """M×4: x1, y1, x2, y2 in pixels, as in `Detections`."""
    labels: np.ndarray
    """M integers, indices of classes, from 0."""
    difficult: np.ndarray
    """M bool: objects that a detector need not find."""


@dataclass(frozen=True)
class AllImages:
    """Detections and objects of all images, in the images' order; boxes and scores are float64."""

    found: Detections
    found_images: np.ndarray
    """N int64: index of the image of each detection."""
    true: Objects
    true_images: np.ndarray
    """M int64: index of the image of each object."""


def concatenate(found: Sequence[Detections], true: Sequence[Objects], classes: Sequence[str]) -> AllImages:
    """Check the detections and objects of all images, and concatenate them.

    Raises:
        ValueError: the lists differ in length, a class occurs twice, all objects are difficult, or an image's arrays
            have invalid shapes, types or values; the message gives the image's number.
    """
    if len(found) != len(true):
        raise ValueError(f"detections of {len(found)} images and objects of {len(true)} given; they must be the same.")
    if len(set(classes)) < len(classes):
        raise ValueError(f"classes {', '.join(classes)} given; each must occur once.")
    for image, (here, there) in enumerate(zip(found, true, strict=True)):
        _check(image, "detections", here.boxes, here.labels, len(classes), here.scores, "scores")
        _check(image, "objects", there.boxes, there.labels, len(classes), there.difficult, "difficult")
        if there.difficult.dtype != bool:
            raise ValueError(f"image {image}: difficult of its objects is {there.difficult.dtype}; it must be bool.")
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
    """Refuse images without an object to find.

    Args:
        difficult: M bool of each image.

    Raises:
        ValueError: there are no objects, or all of them are difficult.
    """
    if all(one.all() for one in difficult):
        raise ValueError("no object to find: there are none, or all are difficult; give images with others.")


def _check(
    image: int, what: str, boxes: np.ndarray, labels: np.ndarray, classes: int, values: np.ndarray, name: str
) -> None:
    where, count = f"image {image}: ", len(boxes)
    if boxes.shape != (count, 4):
        raise ValueError(f"{where}boxes of its {what} have shape {boxes.shape}; expected N×4: x1, y1, x2, y2.")
    for field, array in {"labels": labels, name: values}.items():
        if array.shape != (count,):
            raise ValueError(f"{where}{field} of its {what} have shape {array.shape}; expected ({count},), as boxes.")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{where}labels of its {what} are {labels.dtype}; they must be integers.")
    if not np.isfinite(boxes).all():
        raise ValueError(f"{where}a box of its {what} is not finite.")
    if (wrong := (boxes[:, :2] > boxes[:, 2:]).any(axis=1)).any():
        corners = ", ".join(f"{corner:g}" for corner in boxes[wrong][0])
        raise ValueError(f"{where}the box {corners} of its {what} ends before it begins; expected x1, y1, x2, y2.")
    if (out := (labels < 0) | (labels >= classes)).any():
        raise ValueError(f"{where}invalid label {labels[out][0]} of its {what}; allowed are 0 to {classes - 1}.")

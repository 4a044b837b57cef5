"""Boxes from class activation maps, and their comparison with true boxes (paper, B)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

CamBox = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels, the last two exclusive."""


def largest_box(foreground: np.ndarray, connectivity: int = 8) -> CamBox | None:
    """The tight box of the largest connected region, by number of pixels; None without foreground.

    Example::

        >>> foreground = np.zeros((4, 6), dtype=bool)
        >>> foreground[1:3, 2:5] = True
        >>> largest_box(foreground)
        (2, 1, 5, 3)

    Args:
        foreground: H×W bool.
        connectivity: 8 joins pixels that touch at a corner, 4 does not.
    """
    _, _, regions, _ = cv2.connectedComponentsWithStats(foreground.view(np.uint8), connectivity=connectivity)
    if len(regions) == 1:  # the background
        return None
    x, y, width, height, _ = regions[1 + regions[1:, cv2.CC_STAT_AREA].argmax()].tolist()
    return (x, y, x + width, y + height)


def box_of_map(activations: np.ndarray, sigma: float = 0.15, connectivity: int = 8) -> CamBox | None:
    """The box of the largest region where a map, H×W, exceeds σ times its maximum (paper, B)."""
    return largest_box(activations > sigma * activations.max(), connectivity)


def boxes_over_thresholds(
    activations: np.ndarray, thresholds: np.ndarray, connectivity: int = 8
) -> list[CamBox | None]:
    """The box for each threshold, where a map, H×W, rescaled from its minimum and maximum to 0 … 1, exceeds it."""
    low, high = activations.min(), activations.max()
    if low == high:
        return [None] * len(thresholds)
    normalized = (activations - low) / (high - low)
    return [largest_box(normalized > threshold, connectivity) for threshold in thresholds]


def overlap(box: CamBox | None, truth: np.ndarray) -> float:
    """The largest intersection over union (IoU) of a box with one of the true boxes, N×4; 0 without a box."""
    if box is None:
        return 0.0
    x1, y1, x2, y2 = truth.T
    width = np.minimum(x2, box[2]) - np.maximum(x1, box[0])
    height = np.minimum(y2, box[3]) - np.maximum(y1, box[1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    area = (box[2] - box[0]) * (box[3] - box[1])
    return float((shared / (area + (x2 - x1) * (y2 - y1) - shared)).max())


@dataclass(frozen=True)
class Located:
    """The localization of one image."""

    number: int
    """Index of the image."""
    predicted: int
    """The class with the largest logit."""
    box: CamBox | None
    """Box of the true class's map, in pixels of the crop that the model saw; None without foreground."""
    iou: float
    """Its IoU with the nearest true box."""
    over_thresholds: np.ndarray
    """IoU at each threshold of MaxBoxAcc, float64."""


def locate(
    number: int,
    predicted: int,
    activations: np.ndarray,
    truth: np.ndarray,
    sigma: float,
    thresholds: np.ndarray,
    connectivity: int,
) -> Located:
    """Compare the box of a map with true boxes.

    Args:
        number: index of the image.
        predicted: the predicted class.
        activations: H×W, the map of the true class.
        truth: N×4, the true boxes, in pixels of the map.
        sigma: threshold of the box, see `box_of_map`.
        thresholds: thresholds of MaxBoxAcc.
        connectivity: see `largest_box`.
    """
    box = box_of_map(activations, sigma, connectivity)
    others = boxes_over_thresholds(activations, thresholds, connectivity)
    return Located(number, predicted, box, overlap(box, truth), np.array([overlap(other, truth) for other in others]))


@dataclass(frozen=True)
class LocalizationScores:
    """Accuracy of localization, in percent of the images."""

    top1: float
    """Images whose class is predicted correctly."""
    top1_loc: float
    """Images whose class is predicted correctly and whose IoU is above 0.5 (paper, B)."""
    gt_known_loc: float
    """Images whose IoU is above 0.5."""
    max_box_acc: float
    """Images whose IoU is at least 0.5 at the best common threshold (Choe et al., CVPR 2020)."""
    best_threshold: float
    """The threshold of ``max_box_acc``."""


def localization_scores(
    found: Sequence[Located], labels: Sequence[int], thresholds: np.ndarray
) -> tuple[LocalizationScores, np.ndarray]:
    """Scores of all images, and the accuracy of the boxes at each threshold, in percent."""
    right = np.array([one.predicted == labels[one.number] for one in found])
    located = np.array([one.iou > 0.5 for one in found])
    curve = 100 * (np.stack([one.over_thresholds for one in found]) >= 0.5).mean(axis=0)
    best = int(curve.argmax())
    total = LocalizationScores(
        top1=100 * right.mean().item(),
        top1_loc=100 * (right & located).mean().item(),
        gt_known_loc=100 * located.mean().item(),
        max_box_acc=curve[best].item(),
        best_threshold=thresholds[best].item(),
    )
    return total, curve

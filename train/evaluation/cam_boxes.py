"""From a class activation map to a box, and what a box is worth (paper, B)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

CamBox = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels, the last two exclusive."""


def largest_box(foreground: np.ndarray, connectivity: int = 8) -> CamBox | None:
    """The tightest box around the largest connected region, by pixels; None where nothing is foreground.

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
    """The box where a map, H×W, is over σ times its maximum (paper, B)."""
    return largest_box(activations > sigma * activations.max(), connectivity)


def boxes_over_thresholds(
    activations: np.ndarray, thresholds: np.ndarray, connectivity: int = 8
) -> list[CamBox | None]:
    """For each threshold the box where a map, H×W, brought to 0 … 1 by its minimum and maximum, is over it."""
    low, high = activations.min(), activations.max()
    if low == high:
        return [None] * len(thresholds)
    normalized = (activations - low) / (high - low)
    return [largest_box(normalized > threshold, connectivity) for threshold in thresholds]


def overlap(box: CamBox | None, truth: np.ndarray) -> float:
    """Intersection over union with the one of several true boxes, N×4, with which it is largest; 0 without a box."""
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
    """One image."""

    number: int
    """In the list of images."""
    predicted: int
    """The class with the largest logit."""
    box: CamBox | None
    """Of the true class's map, in pixels of the crop that the model saw."""
    iou: float
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
    """Judge one map, H×W, of the true class, by the true boxes, N×4 in pixels of the map."""
    box = box_of_map(activations, sigma, connectivity)
    others = boxes_over_thresholds(activations, thresholds, connectivity)
    return Located(number, predicted, box, overlap(box, truth), np.array([overlap(other, truth) for other in others]))


@dataclass(frozen=True)
class LocalizationScores:
    """Of localization; percent."""

    top1: float
    """The class is right."""
    top1_loc: float
    """The class is right, and the IoU is over 0.5 (paper, B)."""
    gt_known_loc: float
    """The IoU is over 0.5."""
    max_box_acc: float
    """The largest share of images with an IoU of at least 0.5 at any one threshold (Choe et al., CVPR 2020)."""
    best_threshold: float
    """The threshold of ``max_box_acc``."""


def localization_scores(
    found: Sequence[Located], labels: Sequence[int], thresholds: np.ndarray
) -> tuple[LocalizationScores, np.ndarray]:
    """Of all images; and the accuracy of boxes at each threshold, in percent."""
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

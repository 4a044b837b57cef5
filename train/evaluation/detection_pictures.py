"""Detections drawn on their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dali_cutmix.detection import Annotated
from train.reporting import grid, outline, to_png
from train.tasks.detection import Detections


@dataclass(frozen=True)
class Drawn:
    """One image and what was found in it."""

    image: np.ndarray
    """H×W×3 uint8."""
    truth: np.ndarray
    """True boxes, n×4, in pixels."""
    found: list[tuple[list[float], str]]
    """Boxes, and what is written beside them."""

    @classmethod
    def of(cls, annotated: Annotated, number: int, found: Detections, min_score: float) -> Drawn:
        """An image of a data set with the detections that are sure enough."""
        sure = found.scores >= min_score
        texts = [
            f"{annotated.classes[label]} {score:.2f}"
            for label, score in zip(found.labels[sure].tolist(), found.scores[sure].tolist(), strict=True)
        ]
        with Image.open(annotated.paths[number]) as image:
            pixels = np.asarray(image.convert("RGB"))
        return cls(pixels, annotated.boxes[number], list(zip(found.boxes[sure].tolist(), texts, strict=True)))


def drawn_objects(pictures: Sequence[Drawn], columns: int = 4) -> bytes:
    """True boxes in green, dashed, what was found in red; a PNG."""
    figure, axes = grid(-(-len(pictures) // columns), columns, height=3.2)
    for axis, picture in zip(axes, pictures, strict=False):
        axis.imshow(picture.image)
        for box in picture.truth.tolist():
            outline(axis, box, color="lime", linewidth=1, linestyle="--")
        for box, text in picture.found:
            outline(axis, box, color="red", linewidth=1.5)
            axis.text(*box[:2], text, fontsize=6, color="white", backgroundcolor="red", verticalalignment="bottom")
        axis.set_xlim(0, picture.image.shape[1])
        axis.set_ylim(picture.image.shape[0], 0)
    for axis in axes:
        axis.set_axis_off()
    return to_png(figure)

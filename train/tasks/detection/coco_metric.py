"""Mean average precision as COCO defines it (Lin et al., ECCV 2014), by ``faster-coco-eval``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from train.tasks.detection.detections import Detections, Objects, concatenate


@dataclass(frozen=True)
class CocoAp:
    """Average precision over IoU 0.5, 0.55, … 0.95 and recall 0, 0.01, … 1, in percent; NaN without objects."""

    mean: float
    """Mean over the classes that have an object."""
    ap50: float
    """The same at IoU 0.5 only."""
    ap75: float
    """The same at IoU 0.75 only."""
    small: float
    """The same for boxes of up to 32² pixels."""
    medium: float
    """The same for boxes between 32² and 96² pixels."""
    large: float
    """The same for boxes of 96² pixels and more."""
    of_class: dict[str, float]
    """Average precision of each class."""


def coco_ap(found: Sequence[Detections], true: Sequence[Objects], classes: Sequence[str]) -> CocoAp:
    """Evaluate the detections of all images, at most the 100 with the highest scores per image and class.

    A box is x2 − x1 pixels wide, without the pixel that VOC's metric adds. Difficult objects are treated as COCO's
    crowds: they are not counted, and a detection of which half of the area (or 0.55, …) lies in one is ignored.

    Args:
        found: detections of each image.
        true: objects of each image.
        classes: names of the classes; labels are their indices.

    Raises:
        ValueError: arrays are not as `Detections` and `Objects` require, or no image has an object to find.
    """
    from faster_coco_eval import COCO, COCOeval_faster  # imports OpenCV; only this function needs it

    table = concatenate(found, true, classes)
    images = {"images": [{"id": image} for image in range(len(true))]}
    categories = {"categories": [{"id": number, "name": name} for number, name in enumerate(classes)]}
    objects = _rows(table.true, table.true_images, iscrowd=table.true.difficult.astype(int))
    no_crowd = np.zeros(len(table.found_images), int)
    detections = _rows(table.found, table.found_images, iscrowd=no_crowd, score=table.found.scores)
    truth = COCO({**images, **categories, "annotations": objects})
    result = COCO({**images, **categories, "annotations": detections})
    evaluation = COCOeval_faster(truth, result, "bbox", print_function=lambda *_: None)
    evaluation.evaluate()
    evaluation.accumulate()
    # IoU × recall × class × size × detections per image (1, 10, 100); −1 without objects
    precision = evaluation.eval["precision"][..., -1]
    every = precision[..., 0]
    return CocoAp(
        mean=_mean(every),
        ap50=_mean(every[0]),
        ap75=_mean(every[5]),
        small=_mean(precision[..., 1]),
        medium=_mean(precision[..., 2]),
        large=_mean(precision[..., 3]),
        of_class={name: _mean(every[:, :, number]) for number, name in enumerate(classes)},
    )


def _rows(boxes: Detections | Objects, images: np.ndarray, **more: np.ndarray) -> list[dict[str, object]]:
    """Boxes as rows of a COCO file, numbered from 1."""
    sizes = boxes.boxes[:, 2:] - boxes.boxes[:, :2]
    columns = {
        "id": np.arange(1, len(images) + 1),
        "image_id": images,
        "category_id": boxes.labels,
        "bbox": np.c_[boxes.boxes[:, :2], sizes],
        "area": sizes.prod(axis=1),
        **more,
    }
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _mean(precision: np.ndarray) -> float:
    counted = precision[precision > -1]
    return 100 * counted.mean().item() if counted.size else float("nan")

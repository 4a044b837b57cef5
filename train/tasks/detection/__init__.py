"""Transfer to object detection: SSD and Faster R-CNN on the backbone of a classifier (paper, C).

The way of a box in evaluation::

    val_loader ──▶ model ── detect ──▶ Detections of each image ─┬─ in_voc_pixels ──▶ voc2007_ap
    annotations ── objects_of ───────▶ Objects of each image ────┴──────────────────▶ coco_ap
"""

from train.tasks.detection.coco_metric import coco_ap
from train.tasks.detection.data import open_annotated, val_loader
from train.tasks.detection.detections import Detections, check_has_objects
from train.tasks.detection.task import Detection, build_detector, detect, in_voc_pixels, objects_of
from train.tasks.detection.voc_metric import voc2007_ap

__all__ = [
    "Detection",
    "Detections",
    "build_detector",
    "check_has_objects",
    "coco_ap",
    "detect",
    "in_voc_pixels",
    "objects_of",
    "open_annotated",
    "val_loader",
    "voc2007_ap",
]

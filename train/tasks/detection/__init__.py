"""Transfer to object detection: SSD and Faster R-CNN on the backbone of a classifier (paper, C)."""

from train.tasks.detection.coco_metric import coco_ap
from train.tasks.detection.data import open_annotated, val_loader
from train.tasks.detection.detections import Detections, check_any_to_find
from train.tasks.detection.task import Detection, build, detect, in_voc_pixels, objects_of
from train.tasks.detection.voc_metric import voc2007_ap

__all__ = [
    "Detection",
    "Detections",
    "build",
    "check_any_to_find",
    "coco_ap",
    "detect",
    "in_voc_pixels",
    "objects_of",
    "open_annotated",
    "val_loader",
    "voc2007_ap",
]

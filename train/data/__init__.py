"""Data of a run: splits, the embedded digits and scenes, boxes of the ground truth."""

from train.data.digits import backgrounds
from train.data.ground_truth_boxes import Boxed, boxes_in_crop, find_boxes, read_boxed
from train.data.scenes import scenes_coco, scenes_voc
from train.data.splits import DataSplit, evaluation_folder, listed, open_evaluation_split, open_split, reordered

__all__ = [
    "Boxed",
    "DataSplit",
    "backgrounds",
    "boxes_in_crop",
    "evaluation_folder",
    "find_boxes",
    "listed",
    "open_evaluation_split",
    "open_split",
    "read_boxed",
    "reordered",
    "scenes_coco",
    "scenes_voc",
]

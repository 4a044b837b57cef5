"""Data of a run: training and validation splits, the embedded data sets, and the ground-truth boxes of localization.

`open_split` turns ``--data`` into a `DataSplit`, whose ``read`` is the first verb of a pipeline::

    --data                            read
    folder of classes (or packed)  ─┐
    CUB_200_2011                    ├──▶ DataSplit.read(shard=…, …) ──▶ encoded bytes, labels
    archive of CIFAR                │    in a pipeline's graph
    none: `digits`                 ─┘

`digits` and `scenes` generate the embedded data sets on first use; nothing else treats them specially.
"""

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

"""Which images with boxes a detector is trained on and judged by."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import dali_cutmix as dc
from dali_cutmix.detection import Annotated
from pipelines import coco, faster_rcnn, ssd, voc
from train.config import DetectionConfig
from train.data import scenes_voc
from train.engine import Ranks
from train.tasks.loader_arguments import loader_arguments, training_arguments


def open_annotated(data: Path | None, split: Literal["train", "val"]) -> Annotated:
    """Images and boxes of ``--data``; of the embedded scenes where none is given.

    Raises:
        FileNotFoundError: it, or a part, is missing.
        ValueError: it has none of the known layouts, or an entry is wrong; it is named.
    """
    folder = scenes_voc() if data is None else data
    for is_own, read in ((voc.is_voc, voc.read), (coco.is_coco, coco.read)):
        if is_own(folder):
            return read(folder, split)
    raise FileNotFoundError(
        f"--data {folder}: neither VOC's layout (VOC2007/ImageSets/Main, …) nor COCO's (annotations/instances_*.json)."
    )


def train_loader(config: DetectionConfig, annotated: Annotated, ranks: Ranks, folder: Path) -> dc.Loader:
    """Training batches of this process: images, boxes, labels, and of Faster R-CNN sizes.

    Args:
        folder: of the run, for the list of bad files.
    """
    arguments = training_arguments(config, ranks, folder) | _sides(config)
    if config.detector == "ssd":
        return ssd.train(annotated, distort=config.distort, zoom_out=config.zoom_out, **arguments)
    return faster_rcnn.train(annotated, **arguments)


def val_loader(config: DetectionConfig, annotated: Annotated, ranks: Ranks) -> dc.Loader:
    """Every image once over all processes: images, their numbers, and sizes N×2 (height, width) within the padding."""
    val = (ssd if config.detector == "ssd" else faster_rcnn).val
    return val(annotated, **loader_arguments(config, ranks), **_sides(config))


def _sides(config: DetectionConfig) -> dict[str, int]:
    if config.detector == "ssd":
        return {"size": config.size}
    return {"short_side": config.short_side, "long_side": config.long_side}

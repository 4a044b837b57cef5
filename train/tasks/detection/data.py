"""Training and validation data of a detector: images with boxes, and their loaders."""

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
    """Read the images and boxes of ``--data``, or of the embedded scenes if it is not given.

    Raises:
        FileNotFoundError: the folder or a part of it is missing, or it has none of the known layouts.
        ValueError: an entry is invalid; the message names it.
    """
    folder = scenes_voc() if data is None else data
    for is_own, read in ((voc.is_voc, voc.read), (coco.is_coco, coco.read)):
        if is_own(folder):
            return read(folder, split)
    raise FileNotFoundError(
        f"--data {folder}: neither VOC's layout (VOC2007/ImageSets/Main, …) nor COCO's (annotations/instances_*.json); "
        "give a folder in one of these layouts."
    )


def train_loader(config: DetectionConfig, annotated: Annotated, ranks: Ranks, folder: Path) -> dc.Loader:
    """The loader of this process's training batches: images, boxes, labels and, for Faster R-CNN, sizes.

    Args:
        config: the run's configuration.
        annotated: the training data.
        ranks: this process among all.
        folder: the run's folder, for the list of bad files.
    """
    arguments = training_arguments(config, ranks, folder) | _sides(config)
    if config.detector == "ssd":
        return ssd.train(annotated, distort=config.distort, zoom_out=config.zoom_out, **arguments)
    return faster_rcnn.train(annotated, **arguments)


def val_loader(config: DetectionConfig, annotated: Annotated, ranks: Ranks) -> dc.Loader:
    """The loader of validation batches, each image once over all processes: images, numbers, sizes without padding."""
    val = (ssd if config.detector == "ssd" else faster_rcnn).val
    return val(annotated, **loader_arguments(config, ranks), **_sides(config))


def _sides(config: DetectionConfig) -> dict[str, int]:
    if config.detector == "ssd":
        return {"size": config.size}
    return {"short_side": config.short_side, "long_side": config.long_side}

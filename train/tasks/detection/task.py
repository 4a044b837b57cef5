"""Detection: batches, loss and metric of the task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import dali_cutmix as dc
from pipelines.annotations import Annotated
from train.config import DetectionConfig
from train.engine import Ranks, Row
from train.models import build_faster_rcnn, build_ssd
from train.tasks.detection.data import open_annotated, train_loader, val_loader
from train.tasks.detection.detections import Detections, Objects, check_has_objects
from train.tasks.detection.voc_metric import voc2007_ap
from train.tasks.initial_weights import RANDOM, load_matching_weights, report_initial_weights


class Detection:
    """The task of a detector; see `train.engine.task.Task`.

    Args:
        folder: of the run, for the list of bad files.

    Raises:
        FileNotFoundError, ValueError: the data are missing, or not what they should be.
    """

    metrics: tuple[str, ...] = ("val_map07",)
    best = "val_map07"

    def __init__(self, config: DetectionConfig, ranks: Ranks, folder: Path) -> None:
        if config.freeze_norm and not (config.backbone or config.resume):
            raise ValueError(
                "--freeze-norm keeps the batch norm of --backbone, and none is given; give one, or --no-freeze-norm."
            )
        self._config, self._ranks = config, ranks
        self.origin = RANDOM
        self.fixed_shapes = config.detector == "ssd"  # the other one's batches are as large as their largest image
        training, self._judged_by = (open_annotated(config.data, split) for split in ("train", "val"))
        self.classes = training.classes
        self.check_classes(list(self._judged_by.classes))
        check_has_objects(self._judged_by.difficult)  # else it is told at the first validation, after hours
        self.loader = train_loader(config, training, ranks, folder)
        self.val_loader = val_loader(config, self._judged_by, ranks)

    def model(self) -> nn.Module:
        """The detector, its ResNet from ``--backbone`` or at random."""
        model = build_detector(self._config, len(self.classes))
        if self._config.backbone and not self._config.resume:
            taken = load_matching_weights(backbone_parts(model), self._config.backbone, complete=True)
            self.origin = report_initial_weights(taken, self._ranks)
        return model

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """All parameters alike."""
        return [{"params": [p for p in model.parameters() if p.requires_grad], "lr_scale": 1.0}]

    def loss(self, forward: Callable[..., Any], batch: list[Tensor]) -> Tensor:
        """The sum of the detector's own losses."""
        images, boxes, labels, *sizes = batch
        # Padding is at the end: one wait for the device tells where, masks would be two for each image
        counts = (labels >= 0).sum(dim=1).tolist()
        targets = [
            {"boxes": mine[:count], "labels": known[:count] + 1}
            for mine, known, count in zip(boxes, labels, counts, strict=True)
        ]
        losses = forward(unpadded(images, *sizes), targets)
        return torch.stack([loss.float() for loss in losses.values()]).sum()

    def evaluate(self, model: nn.Module) -> Row:
        """Mean average precision of VOC 2007."""
        found = detect(model, self.val_loader, self._judged_by, self._ranks, self._config.amp)
        return {"val_map07": voc2007_ap(*in_voc_pixels(found, self._judged_by), self.classes).mean}

    def describe(self, row: Row) -> str:
        """In one line."""
        return f"val mAP07 {row['val_map07']:.2f} %"

    def headline(self, row: Row) -> str:
        """mAP07."""
        return f"validation mAP07 {row['val_map07']:.2f} %"

    def check_classes(self, saved: list[str]) -> None:
        """Names of the objects."""
        if saved != list(self.classes):
            raise ValueError(
                f"classes {', '.join(saved)} there, {', '.join(self.classes)} in the training data; give data that "
                "belong together."
            )


def build_detector(config: DetectionConfig, num_classes: int) -> nn.Module:
    """The detector with random weights."""
    if config.detector == "ssd":
        return build_ssd(config.model, num_classes, config.size, config.freeze_norm)
    return build_faster_rcnn(
        config.model, num_classes, config.short_side, config.freeze_norm, config.proposals, config.regions
    )


def backbone_parts(model: nn.Module) -> list[nn.Module]:
    """The parts of a detector in which a ResNet's weights have their own names."""
    heads = [module for name, module in model.named_modules() if name == "roi_heads.box_head"]
    return [model.get_submodule("backbone.body"), *heads]


def unpadded(images: Tensor, sizes: Tensor | None = None) -> list[Tensor]:
    """Images one by one, without the padding outside of sizes N×2 (height, width)."""
    if sizes is None:
        return list(images)
    return [image[:, :height, :width] for image, (height, width) in zip(images, sizes.tolist(), strict=True)]


@torch.inference_mode()
def detect(
    model: nn.Module, loader: dc.Loader, annotated: Annotated, ranks: Ranks, amp: bool = False
) -> list[Detections]:
    """What a detector finds in every image, over all processes, in pixels of the files; x2 and y2 are borders.

    Args:
        loader: of ``annotated``, see `train.tasks.detection.data.val_loader`.
        amp: compute in bfloat16 where that is safe.
    """
    model.eval()
    mine: dict[int, Detections] = {}
    for images, numbers, sizes in loader:
        if len(images) == 0:  # a process whose shard ended before the others'
            continue
        with torch.autocast(ranks.device.type, torch.bfloat16, enabled=amp):
            outputs = model(unpadded(images, sizes))
        for number, seen, output in zip(numbers.tolist(), sizes.tolist(), outputs, strict=True):
            scale = np.tile((annotated.sizes[number] / seen)[::-1], 2)
            found = {name: value.float().cpu().numpy() for name, value in output.items()}
            labels = found["labels"].astype(np.int64) - 1
            mine[number] = Detections(found["boxes"] * scale, labels, found["scores"])
    everywhere = {number: found for part in ranks.gather(mine) for number, found in part.items()}
    return [everywhere[number] for number in range(len(annotated))]


def objects_of(annotated: Annotated) -> list[Objects]:
    """What there is to find in each image; x2 and y2 are borders, not last pixels."""
    return [Objects(*one) for one in zip(annotated.boxes, annotated.labels, annotated.difficult, strict=True)]


def in_voc_pixels(found: list[Detections], annotated: Annotated) -> tuple[list[Detections], list[Objects]]:
    """Found and true boxes with their last pixels in place of the borders behind them, as VOC's metric counts.

    Args:
        found: in every image; x2 and y2 are borders, not last pixels, as ``detect`` gives them.
        annotated: what is there, likewise.
    """
    detections = [Detections(_inclusive(one.boxes), one.labels, one.scores) for one in found]
    return detections, [Objects(_inclusive(one.boxes), one.labels, one.difficult) for one in objects_of(annotated)]


def _inclusive(boxes: np.ndarray) -> np.ndarray:
    """A box narrower than a pixel becomes one of a pixel."""
    return np.concatenate([boxes[:, :2], np.maximum(boxes[:, 2:] - 1, boxes[:, :2])], axis=1)

"""Detection: loaders, loss and metric of the task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import dali_cutmix as dc
from dali_cutmix.detection import Annotated
from train.config import DetectionConfig
from train.engine import Ranks, Row
from train.models import build_faster_rcnn, build_ssd
from train.tasks.detection.data import open_annotated, train_loader, val_loader
from train.tasks.detection.detections import Detections, Objects, check_has_objects
from train.tasks.detection.voc_metric import voc2007_ap
from train.tasks.initial_weights import RANDOM, load_matching_weights, report_initial_weights


class Detection:
    """The task of training a detector; see `train.engine.Task` for its methods.

    Args:
        config: the run's configuration.
        ranks: this process among all.
        folder: the run's folder, for the list of bad files.

    Raises:
        FileNotFoundError, ValueError: the data are missing or wrong, or an option needs another one.
    """

    metrics: tuple[str, ...] = ("val_map07",)
    best = "val_map07"

    def __init__(self, config: DetectionConfig, ranks: Ranks, folder: Path) -> None:
        if config.freeze_norm and not (config.backbone or config.resume):
            raise ValueError(
                "--freeze-norm keeps the batch norm of --backbone, which is not given; give it, or --no-freeze-norm."
            )
        self._config, self._ranks = config, ranks
        self.origin = RANDOM
        self.fixed_shapes = config.detector == "ssd"  # Faster R-CNN's batches are as large as their largest image
        training, self._validation = (open_annotated(config.data, split) for split in ("train", "val"))
        self.classes = training.classes
        self.check_classes(list(self._validation.classes))
        check_has_objects(self._validation.difficult)  # now, not at the first validation hours later
        self.loader = train_loader(config, training, ranks, folder)
        self.val_loader = val_loader(config, self._validation, ranks)

    def model(self) -> nn.Module:
        """The detector, its ResNet with the weights of ``--backbone`` or random ones."""
        model = build_detector(self._config, len(self.classes))
        if self._config.backbone and not self._config.resume:
            taken = load_matching_weights(backbone_parts(model), self._config.backbone, complete=True)
            self.origin = report_initial_weights(taken, self._ranks)
        return model

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """One group of all parameters that are trained."""
        return [{"params": [p for p in model.parameters() if p.requires_grad], "lr_scale": 1.0}]

    def loss(self, forward: Callable[..., Any], batch: list[Tensor]) -> Tensor:
        """The sum of the detector's losses."""
        images, boxes, labels, *sizes = batch
        # Padding is at the end, so counts are enough, and one wait for the device; masks would need two for each image
        counts = (labels >= 0).sum(dim=1).tolist()
        targets = [
            {"boxes": mine[:count], "labels": known[:count] + 1}
            for mine, known, count in zip(boxes, labels, counts, strict=True)
        ]
        losses = forward(unpadded(images, *sizes), targets)
        return torch.stack([loss.float() for loss in losses.values()]).sum()

    def evaluate(self, model: nn.Module) -> Row:
        """Mean average precision as VOC 2007 defines it."""
        found = detect(model, self.val_loader, self._validation, self._ranks, self._config.amp)
        return {"val_map07": voc2007_ap(*in_voc_pixels(found, self._validation), self.classes).mean}

    def describe(self, row: Row) -> str:
        """Mean average precision in one line."""
        return f"val mAP07 {row['val_map07']:.2f} %"

    def headline(self, row: Row) -> str:
        """Mean average precision in words."""
        return f"validation mAP07 {row['val_map07']:.2f} %"

    def check_classes(self, saved: list[str]) -> None:
        """Compare with the names of the training data's classes."""
        if saved != list(self.classes):
            raise ValueError(
                f"the classes are {', '.join(saved)}, but those of the training data are {', '.join(self.classes)}; "
                "give data that belong together."
            )


def build_detector(config: DetectionConfig, num_classes: int) -> nn.Module:
    """Make a detector with random weights."""
    if config.detector == "ssd":
        return build_ssd(config.model, num_classes, config.size, config.freeze_norm)
    return build_faster_rcnn(
        config.model, num_classes, config.short_side, config.freeze_norm, config.proposals, config.regions
    )


def backbone_parts(model: nn.Module) -> list[nn.Module]:
    """The modules of a detector whose tensors have the names that they have in a ResNet."""
    heads = [module for name, module in model.named_modules() if name == "roi_heads.box_head"]
    return [model.get_submodule("backbone.body"), *heads]


def unpadded(images: Tensor, sizes: Tensor | None = None) -> list[Tensor]:
    """Split a batch into images without padding, by their sizes N×2 (height, width); all of it without sizes."""
    if sizes is None:
        return list(images)
    return [image[:, :height, :width] for image, (height, width) in zip(images, sizes.tolist(), strict=True)]


@torch.inference_mode()
def detect(
    model: nn.Module, loader: dc.Loader, annotated: Annotated, ranks: Ranks, amp: bool = False
) -> list[Detections]:
    """Detect objects in each image, over all processes.

    Args:
        model: the detector.
        loader: loader of ``annotated``, see `val_loader`.
        annotated: the images, for their sizes.
        ranks: this process among all.
        amp: compute in bfloat16 where that is safe.

    Returns:
        Detections of each image of ``annotated``, in pixels of its file; x2 and y2 are exclusive.
    """
    model.eval()
    mine: dict[int, Detections] = {}
    for images, numbers, sizes in loader:
        if len(images) == 0:  # this process's shard has fewer batches than others
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
    """True objects of each image; x2 and y2 are exclusive."""
    return [Objects(*one) for one in zip(annotated.boxes, annotated.labels, annotated.difficult, strict=True)]


def in_voc_pixels(found: list[Detections], annotated: Annotated) -> tuple[list[Detections], list[Objects]]:
    """Convert boxes to VOC's convention, in which x2 and y2 are the last pixels of the box.

    A box that covers the pixels 10, 11 and 12::

        exclusive, as `detect` returns it    x1 = 10, x2 = 13
        VOC                                  x1 = 10, x2 = 12

    Args:
        found: detections of each image; x2 and y2 are exclusive.
        annotated: the images with their true boxes; x2 and y2 are exclusive.

    Returns:
        Detections and objects of each image.
    """
    detections = [Detections(_inclusive(one.boxes), one.labels, one.scores) for one in found]
    return detections, [Objects(_inclusive(one.boxes), one.labels, one.difficult) for one in objects_of(annotated)]


def _inclusive(boxes: np.ndarray) -> np.ndarray:
    """Boxes with their last pixels; a box narrower than a pixel becomes one pixel wide."""
    return np.concatenate([boxes[:, :2], np.maximum(boxes[:, 2:] - 1, boxes[:, :2])], axis=1)

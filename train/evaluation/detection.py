"""The command ``python -m train.evaluate detection CHECKPOINT --data DIR`` (paper, C)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipelines.annotations import Annotated
from train.config import DetectionConfig
from train.engine import Ranks
from train.evaluation.evaluator import Evaluator, EvaluatorOptions, Report
from train.evaluation.trained_model import open_task
from train.reporting import evenly_spaced, grid, outline, to_png
from train.tasks.detection import (
    Detections,
    build_detector,
    check_has_objects,
    coco_ap,
    detect,
    in_voc_pixels,
    objects_of,
    open_annotated,
    val_loader,
    voc2007_ap,
)


@dataclass(frozen=True)
class DetectionOptions(EvaluatorOptions):
    """Judge a detector: mAP of VOC 2007 and of COCO, by class, as a table and JSON; detections drawn on images."""

    data: Path | None = None
    """VOCdevkit with VOC2007 and VOC2012 (or one of them), or a folder in COCO's layout; what the checkpoint was
    trained on if not given."""
    pictures: int = 12
    """Images that are drawn with what was found in them, evenly from all; 0 for none."""
    min_score: float = 0.5
    """Of the detections that are drawn, 0 to 1."""


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


@dataclass(frozen=True)
class DetectionResult:
    """What an evaluation finds."""

    results: dict[str, Any]
    pictures: list[Drawn]


def evaluate(options: DetectionOptions, ranks: Ranks) -> DetectionResult:
    """Judge a checkpoint.

    Raises:
        FileNotFoundError, ValueError: no such checkpoint or data, or they do not fit; a wrong option.
    """
    if options.pictures < 0:
        raise ValueError(f"--pictures {options.pictures} given; it must be at least 0.")
    if not 0 <= options.min_score <= 1:
        raise ValueError(f"--min-score {options.min_score:g} given; it must be 0 to 1.")
    trained = open_task(
        options, ranks, DetectionConfig, "detector", lambda config, classes: build_detector(config, len(classes))
    )
    config, classes = trained.config, trained.checkpoint.classes
    annotated = open_annotated(options.data or config.data, "val")
    if list(annotated.classes) != classes:
        raise ValueError(
            f"--data has the classes {', '.join(annotated.classes)}, {trained.path} {', '.join(classes)}; give the "
            "data that it was trained for."
        )
    check_has_objects(annotated.difficult)
    found = detect(trained.model, val_loader(config, annotated, ranks), annotated, ranks, config.amp)
    if not ranks.is_first:  # one judges and draws
        return DetectionResult({}, [])
    voc = voc2007_ap(*in_voc_pixels(found, annotated), annotated.classes)
    coco = coco_ap(found, objects_of(annotated), annotated.classes)
    results = {
        "checkpoint": str(trained.path),
        "weights": trained.weights,
        "backbone": trained.checkpoint.origin,
        "detector": config.detector,
        "images": len(annotated),
        "map07": voc.mean,
        "map07_rule": "VOC 2007: 11 points, IoU at least 0.5, difficult objects ignored, borders included",
        "coco": {name: _number(value) for name, value in asdict(coco).items() if name != "of_class"},
        "classes": {
            name: {"ap07": _number(voc.of_class[name]), "coco": _number(coco.of_class[name])} for name in voc.of_class
        },
    }
    chosen = evenly_spaced(len(annotated), options.pictures)
    return DetectionResult(
        results, [Drawn.of(annotated, number, found[number], options.min_score) for number in chosen]
    )


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else value


def table(results: dict[str, Any]) -> str:
    """The results for reading."""

    def shown(value: float | None) -> str:
        return "    –" if value is None else f"{value:5.1f}"

    coco = results["coco"]
    lines = [
        f"{results['detector']}, {results['images']} images, backbone: {results['backbone']}",
        f"mAP07         {shown(results['map07'])} %   (VOC 2007, 11 points)",
        f"COCO AP       {shown(coco['mean'])} %   AP50 {shown(coco['ap50'])}   AP75 {shown(coco['ap75'])}",
        f"{'class':16}{'AP07':>6}{'COCO AP':>9}",
    ]
    lines += [f"{name:16}{shown(of['ap07']):>6}{shown(of['coco']):>9}" for name, of in results["classes"].items()]
    return "\n".join(lines)


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


def report(found: DetectionResult) -> Report:
    """For showing."""
    return Report(table(found.results), found.results, {"png": drawn_objects(found.pictures)} if found.pictures else {})


EVALUATOR = Evaluator("detection", DetectionOptions, evaluate, report)


def main(arguments: list[str]) -> None:
    """The command."""
    EVALUATOR.command(arguments)

"""The command ``python -m train.evaluate detection CHECKPOINT --data DIR`` (paper, C)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dali_cutmix.detection import Annotated
from train.config import DetectionConfig
from train.engine import Ranks
from train.evaluation.evaluator import Evaluator, EvaluatorOptions, Report
from train.evaluation.trained_model import check_same, open_task
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
    """Measure mAP of a detector as defined by VOC 2007 and by COCO, by class, as a table and JSON; draw detections."""

    data: Path | None = None
    """VOCdevkit with VOC2007 and VOC2012 (or one of them), or a folder in COCO's layout; the data of the training if
    not given."""
    pictures: int = 12
    """Number of images to draw with their detections, evenly spaced among all; 0 for none."""
    min_score: float = 0.5
    """Minimum score of the detections that are drawn, 0 to 1."""


@dataclass(frozen=True)
class Drawn:
    """An image with its true boxes and detections, to be drawn."""

    image: np.ndarray
    """H×W×3 uint8."""
    truth: np.ndarray
    """True boxes, n×4, in pixels."""
    found: list[tuple[list[float], str]]
    """Detected boxes, and the text beside each."""

    @classmethod
    def of(cls, annotated: Annotated, number: int, found: Detections, min_score: float) -> Drawn:
        """Read an image of a data set, with the detections of at least a score."""
        drawn = found.scores >= min_score
        texts = [
            f"{annotated.classes[label]} {score:.2f}"
            for label, score in zip(found.labels[drawn].tolist(), found.scores[drawn].tolist(), strict=True)
        ]
        with Image.open(annotated.paths[number]) as image:
            pixels = np.asarray(image.convert("RGB"))
        return cls(pixels, annotated.boxes[number], list(zip(found.boxes[drawn].tolist(), texts, strict=True)))


@dataclass(frozen=True)
class DetectionResult:
    """Result of an evaluation."""

    results: dict[str, Any]
    """Numbers and descriptions by name, as they are written to JSON."""
    pictures: list[Drawn]
    """Images to draw."""


def evaluate(options: DetectionOptions, ranks: Ranks) -> DetectionResult:
    """Measure a checkpoint.

    Raises:
        FileNotFoundError, ValueError: there is no such checkpoint or data, they do not fit, or an option is invalid.
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
            f"--data has the classes {', '.join(annotated.classes)}, but {trained.path} has {', '.join(classes)}; give "
            "data with the classes that it was trained for."
        )
    check_has_objects(annotated.difficult)
    loader = val_loader(config, annotated, ranks)
    check_same(trained, options, ranks, {"validation": loader})
    found = detect(trained.model, loader, annotated, ranks, config.amp)
    if not ranks.is_first:  # one process computes the metrics and draws
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
    """The value, or None for NaN, which JSON does not have."""
    return None if math.isnan(value) else value


def table(results: dict[str, Any]) -> str:
    """Format the results as a table."""

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
    """Draw true boxes, green and dashed, and detections, red, as a PNG."""
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
    """Make the report of the results."""
    return Report(table(found.results), found.results, {"png": drawn_objects(found.pictures)} if found.pictures else {})


EVALUATOR = Evaluator("detection", DetectionOptions, evaluate, report)


def main(arguments: list[str]) -> None:
    """Run the command with these arguments."""
    EVALUATOR.command(arguments)

"""The command ``python -m train.evaluate captioning CHECKPOINT --data DIR`` (paper, D and Table A1)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from train.config import CaptioningConfig
from train.engine import Ranks
from train.evaluation.evaluator import Evaluator, EvaluatorOptions, Report
from train.evaluation.trained_model import check_same, open_task
from train.reporting import evenly_spaced, grid, to_png
from train.tasks.captioning import (
    Vocabulary,
    build_captioner,
    caption_scores,
    open_captioned,
    val_loader,
    write_captions,
)


@dataclass(frozen=True)
class CaptioningOptions(EvaluatorOptions):
    """Measure BLEU, METEOR (needs Java), ROUGE-L and CIDEr-D of a captioner, as a table and JSON; show captions."""

    data: Path | None = None
    """Folder in COCO's layout, with annotations/captions_*.json; the data of the training if not given."""
    beam: int | None = None
    """Beam width; that of the training if not given."""
    pictures: int = 12
    """Number of images to show with their captions, evenly spaced among all; 0 for none."""


@dataclass(frozen=True)
class Shown:
    """An image, its generated caption, and a reference caption."""

    image: np.ndarray
    """H×W×3 uint8."""
    written: str
    reference: str


@dataclass(frozen=True)
class CaptioningResult:
    """Result of an evaluation."""

    results: dict[str, Any]
    """Numbers and descriptions by name, as they are written to JSON."""
    pictures: list[Shown]
    """Images to show."""


def evaluate(options: CaptioningOptions, ranks: Ranks) -> CaptioningResult:
    """Measure a checkpoint.

    Raises:
        FileNotFoundError, ValueError: there is no such checkpoint or data, they do not fit, or an option is invalid.
    """
    if options.pictures < 0:
        raise ValueError(f"--pictures {options.pictures} given; it must be at least 0.")
    trained = open_task(
        options, ranks, CaptioningConfig, "captioner", lambda config, words: build_captioner(config, len(words))
    )
    config = trained.config if options.beam is None else replace(trained.config, beam=options.beam)
    captioned = open_captioned(options.data or config.data, "val")
    words = Vocabulary(trained.checkpoint.classes)
    loader = val_loader(config, captioned, ranks)
    check_same(trained, options, ranks, {"validation": loader})
    written = write_captions(trained.model, loader, words, config, ranks)
    if not ranks.is_first:  # METEOR's Java program needs to run only once
        return CaptioningResult({}, [])
    scores = caption_scores(written, dict(enumerate(captioned.sentences)))
    results = {
        "checkpoint": str(trained.path),
        "weights": trained.weights,
        "backbone": trained.checkpoint.origin,
        "images": len(captioned),
        "beam": config.beam,
        "words": len(words),
        **asdict(scores),
        "captions": {str(captioned.paths[number]): text for number, text in sorted(written.items())},
    }
    pictures = []
    for number in evenly_spaced(len(captioned), options.pictures):
        with Image.open(captioned.paths[number]) as image:
            pixels = np.asarray(image.convert("RGB"))
        pictures.append(Shown(pixels, written[number], captioned.sentences[number][0]))
    return CaptioningResult(results, pictures)


NAMES = {
    "bleu1": "BLEU-1",
    "bleu2": "BLEU-2",
    "bleu3": "BLEU-3",
    "bleu4": "BLEU-4",
    "meteor": "METEOR",
    "rouge_l": "ROUGE-L",
    "cider": "CIDEr-D",
}
"""Names of the scores in the table."""


def table(results: dict[str, Any]) -> str:
    """Format the results as a table."""
    lines = [f"{results['images']} images, beam {results['beam']}, backbone: {results['backbone']}"]
    for key, name in NAMES.items():
        value = results[key]
        lines.append(f"{name:10}{value:6.1f}" if value is not None else f"{name:10}     –  ({results['meteor_note']})")
    return "\n".join(lines)


def shown_captions(pictures: Sequence[Shown], columns: int = 4) -> bytes:
    """Draw images with their captions below, the references in gray, as a PNG."""
    figure, axes = grid(-(-len(pictures) // columns), columns, height=3.4)
    for axis, picture in zip(axes, pictures, strict=False):
        axis.imshow(picture.image)
        written, reference = (textwrap.fill(text, 42) for text in (picture.written, picture.reference))
        for text, down, style in (
            (written, 3, {"fontsize": 8}),
            (reference, 3 + 11 * (written.count("\n") + 1), {"fontsize": 7, "color": "gray"}),
        ):
            axis.annotate(text, (0.5, 0), (0, -down), "axes fraction", "offset points", ha="center", va="top", **style)
    for axis in axes:
        axis.set_axis_off()
    return to_png(figure)


def report(found: CaptioningResult) -> Report:
    """Make the report of the results."""
    pictures = {"png": shown_captions(found.pictures)} if found.pictures else {}
    return Report(table(found.results), found.results, pictures)


EVALUATOR = Evaluator("captioning", CaptioningOptions, evaluate, report)


def main(arguments: list[str]) -> None:
    """Run the command with these arguments."""
    EVALUATOR.command(arguments)

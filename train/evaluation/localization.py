"""The command ``python -m train.evaluate localization CHECKPOINT --data DIR`` (paper, B)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from train.config import Config, check
from train.data import Boxed, boxes_in_crop, evaluation_folder, listed, read_boxed
from train.engine import Ranks
from train.evaluation.cam import ClassMaps, upsample
from train.evaluation.cam_boxes import Located, localization_scores, locate
from train.evaluation.evaluator import Evaluator, EvaluatorOptions, Report
from train.evaluation.trained_model import Trained, check_same, open_trained
from train.reporting import Overlay, evenly_spaced, overlays, to_csv
from train.tasks import classification


@dataclass(frozen=True)
class LocalizationOptions(EvaluatorOptions):
    """Measure Top-1 Loc, GT-known Loc and MaxBoxAcc of boxes from class activation maps; table, JSON, CSV, pictures."""

    boxes: Path | None = None
    """CSV file with path, x1, y1, x2, y2 in pixels (the last two exclusive), or a folder of XML files in ImageNet's
    format; if not given, boxes.csv in the data's folder or in its parent, or CUB-200-2011's own boxes."""
    sigma: float = 0.15
    """Pixels where the map exceeds sigma times its maximum are foreground (the paper's threshold)."""
    connectivity: Literal[4, 8] = 8
    """Neighbours of a pixel in a connected region: 8, as for OpenCV's contours, or 4. The paper does not say."""
    thresholds: int = 100
    """MaxBoxAcc: number of thresholds, evenly spaced from 0 to 1, without 1."""
    pictures: int = 16
    """Number of images to draw with their maps and boxes, evenly spaced among all; 0 for none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check("sigma", self.sigma, 0 < self.sigma < 1, "above 0 and below 1")
        check("thresholds", self.thresholds, self.thresholds >= 1, "at least 1")
        check("pictures", self.pictures, self.pictures >= 0, "at least 0")


@dataclass(frozen=True)
class LocalizationResult:
    """Result of an evaluation."""

    results: dict[str, Any]
    """Numbers and descriptions by name, as they are written to JSON."""
    rows: list[dict[str, Any]]
    """A row for each image: ``image``, ``class``, ``predicted``, ``iou``, box ``x1`` … ``y2`` in pixels of the crop."""
    pictures: list[Overlay]
    """Images to draw."""


def evaluate(options: LocalizationOptions, ranks: Ranks) -> LocalizationResult:
    """Measure a checkpoint.

    Raises:
        FileNotFoundError, ValueError: there are no such checkpoint, data or boxes, or they do not fit.
    """
    trained = open_trained(options, ranks)
    maps = ClassMaps(trained.model, trained.config.crop, ranks.device)
    images = read_boxed(evaluation_folder(options.data, trained.config.data), options.boxes)
    classes = trained.checkpoint.classes
    classification.check_classes(classes, images.classes, images.name)
    truth = [boxes_in_crop(*image, trained.config) for image in zip(images.paths, images.boxes, strict=True)]

    thresholds = np.arange(options.thresholds) / options.thresholds
    mine, pictures = locate_all(options, trained, maps, images, truth, thresholds, ranks)
    located = sorted(chain.from_iterable(ranks.gather(mine)), key=lambda one: one.number)
    drawn = sorted(chain.from_iterable(ranks.gather(pictures)), key=lambda one: one[0])
    total, curve = localization_scores(located, images.labels, thresholds)
    results = {
        "checkpoint": str(trained.path),
        "weights": trained.weights,
        "data": images.name,
        "images": len(located),
        "map": "of the true class, upsampled bilinearly to the crop",
        "rule": f"largest region, by pixels, over {options.sigma:g} of the map's maximum, {options.connectivity} "
        "neighbours; IoU over 0.5 with the nearest of the true boxes, moved into the crop and cut off at its border",
        "max_box_acc_rule": f"map from its minimum to its maximum as 0 to 1, {options.thresholds} thresholds, IoU at "
        "least 0.5",
        **asdict(total),
        "box_acc": {f"{threshold:g}": percent for threshold, percent in zip(thresholds, curve.tolist(), strict=True)},
    }
    rows = [
        {
            "image": str(images.paths[one.number]),
            "class": classes[images.labels[one.number]],
            "predicted": classes[one.predicted],
            "iou": round(one.iou, 4),
            **dict(zip(("x1", "y1", "x2", "y2"), one.box or (), strict=False)),
        }
        for one in located
    ]
    return LocalizationResult(results, rows, [picture for _, picture in drawn])


def locate_all(
    options: LocalizationOptions,
    trained: Trained[Config],
    maps: ClassMaps,
    images: Boxed,
    truth: list[np.ndarray],
    thresholds: np.ndarray,
    ranks: Ranks,
) -> tuple[list[Located], list[tuple[int, Overlay]]]:
    """Localize this process's part of the images.

    Returns:
        The localization of each image; and the images to draw, with their indices.
    """
    config = trained.config
    numbered = listed(images.name, [(path, number) for number, path in enumerate(images.paths)])
    loader = classification.val_loader(config, ranks, numbered)
    check_same(trained, options, ranks, {"validation": loader})
    labels = torch.tensor(images.labels, device=ranks.device)
    drawn = set(evenly_spaced(len(images.paths), options.pictures))
    compare = partial(locate, sigma=options.sigma, thresholds=thresholds, connectivity=options.connectivity)
    located: list[Located] = []
    pictures = []
    with ThreadPoolExecutor(config.num_threads) as pool:  # OpenCV releases the GIL
        for batch, numbers in loader:
            if len(batch) == 0:  # this process's shard has fewer batches than others
                continue
            logits, found = maps(batch, labels[numbers], config.amp)
            activations = upsample(found, config.crop).cpu().numpy()
            known = [truth[number] for number in numbers.tolist()]
            compared = list(pool.map(compare, numbers.tolist(), logits.argmax(dim=1).tolist(), activations, known))
            located += compared
            for one, pixels, activation, boxes in zip(compared, batch, activations, known, strict=True):
                if one.number in drawn:
                    title = f"{trained.checkpoint.classes[one.predicted]}, IoU {one.iou:.2f}"
                    pictures.append((one.number, Overlay(levels(pixels, config), activation, boxes, one.box, title)))
    return located, pictures


def levels(image: torch.Tensor, config: Config) -> np.ndarray:
    """Undo the normalization of an image, 3×H×W; return it as H×W×3 uint8."""
    mean, std = (torch.tensor(values, device=image.device) for values in (config.mean, config.std))
    return (image.permute(1, 2, 0) * std + mean).round().clamp(0, 255).byte().cpu().numpy()


def table(results: dict[str, Any]) -> str:
    """Format the results as a table."""
    names = {
        "top1": "Top-1",
        "top1_loc": "Top-1 Loc",
        "gt_known_loc": "GT-known Loc",
        "max_box_acc": "MaxBoxAcc",
    }
    lines = [f"{name:14}{results[key]:6.2f} %" for key, name in names.items()]
    lines[-1] += f" at {results['best_threshold']:g}"
    return "\n".join([f"{results['images']} images of {results['data']}", *lines, f"a box: {results['rule']}"])


def report(found: LocalizationResult) -> Report:
    """Make the report of the results."""
    pictures = {"png": overlays(found.pictures)} if found.pictures else {}
    csv = to_csv(("image", "class", "predicted", "iou", "x1", "y1", "x2", "y2"), found.rows)
    return Report(table(found.results), found.results, {"csv": csv, **pictures})


EVALUATOR = Evaluator("localization", LocalizationOptions, evaluate, report)


def main(arguments: list[str]) -> None:
    """Run the command with these arguments."""
    EVALUATOR.command(arguments)

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
from train.evaluation.trained_model import Trained, open_trained
from train.reporting import Overlay, evenly_spaced, overlays, to_csv
from train.tasks import classification


@dataclass(frozen=True)
class LocalizationOptions(EvaluatorOptions):
    """Find objects by class activation maps: Top-1 Loc, GT-known Loc and MaxBoxAcc, as a table, JSON, CSV, pictures."""

    boxes: Path | None = None
    """CSV with path, x1, y1, x2, y2 in pixels (the last two exclusive), or a folder of XML files as ImageNet has them;
    boxes.csv in the data's folder or beside it if not given, and CUB-200-2011's own."""
    sigma: float = 0.15
    """A place is foreground where the map is over sigma times its maximum (the paper's threshold)."""
    connectivity: Literal[4, 8] = 8
    """Neighbours of a pixel in a connected region: 8, as OpenCV's contours have them, or 4. The paper says nothing."""
    thresholds: int = 100
    """MaxBoxAcc: thresholds from 0 to 1, evenly, without the 1."""
    pictures: int = 16
    """Images that are drawn with map and boxes, evenly from all; 0 for none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check("sigma", self.sigma, 0 < self.sigma < 1, "above 0 and below 1")
        check("thresholds", self.thresholds, self.thresholds >= 1, "at least 1")
        check("pictures", self.pictures, self.pictures >= 0, "at least 0")


@dataclass(frozen=True)
class LocalizationResult:
    """What an evaluation finds."""

    results: dict[str, Any]
    rows: list[dict[str, Any]]
    """For each image ``image``, ``class``, ``predicted``, ``iou``, the box ``x1`` … ``y2`` in pixels of the crop."""
    pictures: list[Overlay]


def evaluate(options: LocalizationOptions, ranks: Ranks) -> LocalizationResult:
    """Measure a checkpoint.

    Raises:
        FileNotFoundError, ValueError: no such checkpoint, data or boxes, or they do not fit.
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
        "box_acc": {f"{threshold:g}": share for threshold, share in zip(thresholds, curve.tolist(), strict=True)},
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
    """This process's share of the images; and those that are drawn, with their numbers."""
    config = trained.config
    numbered = listed(images.name, [(path, number) for number, path in enumerate(images.paths)])
    labels = torch.tensor(images.labels, device=ranks.device)
    drawn = set(evenly_spaced(len(images.paths), options.pictures))
    judge = partial(locate, sigma=options.sigma, thresholds=thresholds, connectivity=options.connectivity)
    located: list[Located] = []
    pictures = []
    with ThreadPoolExecutor(config.num_threads) as pool:  # OpenCV works outside the GIL
        for batch, numbers in classification.val_loader(config, ranks, numbered):
            if len(batch) == 0:  # a process whose shard ended before the others'
                continue
            logits, found = maps(batch, labels[numbers], config.amp)
            activations = upsample(found, config.crop).cpu().numpy()
            known = [truth[number] for number in numbers.tolist()]
            judged = list(pool.map(judge, numbers.tolist(), logits.argmax(dim=1).tolist(), activations, known))
            located += judged
            for one, pixels, activation, boxes in zip(judged, batch, activations, known, strict=True):
                if one.number in drawn:
                    title = f"{trained.checkpoint.classes[one.predicted]}, IoU {one.iou:.2f}"
                    pictures.append((one.number, Overlay(levels(pixels, config), activation, boxes, one.box, title)))
    return located, pictures


def levels(image: torch.Tensor, config: Config) -> np.ndarray:
    """A normalized image, 3×H×W, as H×W×3 uint8."""
    mean, std = (torch.tensor(values, device=image.device) for values in (config.mean, config.std))
    return (image.permute(1, 2, 0) * std + mean).round().clamp(0, 255).byte().cpu().numpy()


def table(results: dict[str, Any]) -> str:
    """The results for reading."""
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
    """For showing."""
    pictures = {"png": overlays(found.pictures)} if found.pictures else {}
    csv = to_csv(("image", "class", "predicted", "iou", "x1", "y1", "x2", "y2"), found.rows)
    return Report(table(found.results), found.results, {"csv": csv, **pictures})


EVALUATOR = Evaluator("localization", LocalizationOptions, evaluate, report)


def main(arguments: list[str]) -> None:
    """The command."""
    EVALUATOR.command(arguments)

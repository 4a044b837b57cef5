"""The command ``python -m train.evaluate uncertainty CHECKPOINT --data DIR --ood NAME=DIR …`` (paper, E.2)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from pipelines.ood import list_images
from train.config import check
from train.data import listed
from train.engine import Ranks
from train.evaluation.evaluator import Evaluator, EvaluatorOptions, Report
from train.evaluation.ood_scores import NOISES, confidences, noise, ood_metrics
from train.evaluation.preconditions import parse_ood_sets
from train.evaluation.trained_model import open_data, open_trained
from train.reporting import histogram
from train.tasks import batch_size_per_process, classification


@dataclass(frozen=True)
class UncertaintyOptions(EvaluatorOptions):
    """Measure how well a classifier's confidence separates its own images from other data sets and from noise."""

    ood: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=DIR")] = ()
    """Out-of-distribution sets: a name and a folder each; images in subfolders count as well."""
    noise_images: int = 10_000
    """Number of images of uniform noise and of Gaussian noise; 0 for none."""
    seed: int = 0
    """Seed of the noise."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check("noise_images", self.noise_images, self.noise_images >= 0, "at least 0")
        parse_ood_sets(self.ood)


Scores = dict[str, np.ndarray]
"""Maximum softmax probabilities by the sets' names, the first set in-distribution."""
UncertaintyResult = tuple[dict[str, Any], Scores]
"""Results as they are written to JSON, and scores."""


def evaluate(options: UncertaintyOptions, ranks: Ranks) -> UncertaintyResult:
    """Measure a checkpoint.

    Returns:
        The results: for each set ``images``, the mean ``confidence`` and, if it is out-of-distribution, ``tnr95``,
        ``auroc`` and ``accuracy``, in percent. And the scores of each set.

    Raises:
        FileNotFoundError, ValueError: there is no such checkpoint or data, they do not fit, or there is no
            out-of-distribution set.
    """
    listings = list_ood_images(options, ranks)
    trained = open_trained(options, ranks)
    config = trained.config
    split, inside = open_data(trained, options, ranks)
    sets: dict[str, Any] = {"in-distribution": (images for images, _ in inside)}
    for name, paths in listings.items():
        outside = classification.val_loader(config, ranks, listed(name, [(path, 0) for path in paths]))
        ranks.check_same({name: outside})
        sets[name] = (images for images, _ in outside)
    for kind in NOISES if options.noise_images else ():
        batch_size = batch_size_per_process(config.batch_size, ranks)
        levels = {"mean": config.mean, "std": config.std}
        sets[kind] = noise(kind, options.noise_images, config.crop, batch_size, ranks, options.seed, **levels)
    scores = {name: confidences(trained.model, batches, ranks, config.amp).numpy() for name, batches in sets.items()}
    results = {
        "checkpoint": str(trained.path),
        "weights": trained.weights,
        "data": split.name,
        "score": "maximum softmax probability, float64; in-distribution is the positive class",
        "sets": {name: describe(scores["in-distribution"], found) for name, found in scores.items()},
    }
    return results, scores


def describe(inside: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Number of images and mean confidence of a set; also the metrics if it is not ``inside``."""
    found = {} if scores is inside else asdict(ood_metrics(inside, scores))
    return {"images": len(scores), "confidence": 100 * scores.mean().item(), **found}


def list_ood_images(options: UncertaintyOptions, ranks: Ranks) -> dict[str, list[Path]]:
    """List the images of the out-of-distribution sets, by the sets' names.

    Raises:
        FileNotFoundError, ValueError: a folder is missing, or has no image or fewer than processes; there is no set.
    """
    folders = parse_ood_sets(options.ood)
    if not folders and not options.noise_images:
        raise ValueError("no --ood NAME=DIR given and --noise-images 0; give at least one set to compare with.")
    listings = {name: list_images(folder) for name, folder in folders.items()}
    for name, paths in listings.items():
        if len(paths) < ranks.world_size:
            raise ValueError(
                f"{folders[name]}: {len(paths)} images for {ranks.world_size} processes; start fewer processes."
            )
    return listings


def table(results: dict[str, Any]) -> str:
    """Format the results, a row per set."""
    lines = [f"{'':18}{'images':>8}{'confidence':>12}{'TNR at TPR 95':>15}{'AUROC':>8}{'detection':>11}"]
    for name, found in results["sets"].items():
        metrics = [found.get(metric) for metric in ("tnr95", "auroc", "accuracy")]
        shown = "".join("" if m is None else f"{m:>{w}.1f}" for m, w in zip(metrics, (15, 8, 11), strict=True))
        lines.append(f"{name:18}{found['images']:8}{found['confidence']:12.1f}{shown}")
    return "\n".join(lines)


def report(found: UncertaintyResult) -> Report:
    """Make the report of the results."""
    results, scores = found
    return Report(table(results), results, {"png": histogram(scores)})


EVALUATOR = Evaluator("uncertainty", UncertaintyOptions, evaluate, report)


def main(arguments: list[str]) -> None:
    """Run the command with these arguments."""
    EVALUATOR.command(arguments)

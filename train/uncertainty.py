"""The command ``python -m train.evaluate uncertainty CHECKPOINT --data DIR --ood NAME=DIR …`` (paper, E.2)."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

import dali_cutmix as dc
from dali_cutmix.files import write_atomically
from pipelines.ood import list_images
from train import classification
from train.checkpoint import find
from train.confidence import NOISES, confidences, noise
from train.distributed import Ranks, join
from train.figures import histogram
from train.out_of_distribution import detection
from train.trained import open_trained, val_folder, val_images


@dataclass(frozen=True)
class Options:
    """Tell images of other data sets, and noise, from those that a checkpoint was trained for, by its confidence."""

    checkpoint: tyro.conf.Positional[Path]
    """Checkpoint (.pt), or a run folder, of which last.pt is taken."""
    data: Path | None = None
    """In-distribution: folder with one folder for each class, or one that has it as val/; what it was trained on if not
    given."""
    ood: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=DIR")] = ()
    """Out-of-distribution sets: a name and a folder of images each, in whatever folders below."""
    noise_images: int = 10_000
    """Images of uniform and of Gaussian noise; 0 leaves them out."""
    weights: Literal["auto", "model", "ema"] = "auto"
    """Which weights: auto takes the averaged ones (ema) where the checkpoint has them."""
    output: Path | None = None
    """Where to write, with the endings .json and .png; CHECKPOINT with .uncertainty if not given."""
    batch_size: int | None = None
    """Images in one step over all processes; that of the training if not given."""
    seed: int = 0
    """Of the noise."""
    device: str = "auto"
    """cpu, cuda, cuda:N, or auto: the GPU if there is one."""
    num_threads: int | None = None
    """Threads that decode, for each process; chosen by the loader if not given."""


def evaluate(options: Options, ranks: Ranks) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Measure a checkpoint.

    Returns:
        The results: for each set ``images``, mean ``confidence``, and of out-of-distribution ones ``tnr95``, ``auroc``,
        ``accuracy`` in percent. And the scores: maximum softmax probabilities by the sets' names, the first one
        in-distribution.

    Raises:
        FileNotFoundError, ValueError: no such checkpoint or data, or they do not fit; no out-of-distribution set.
    """
    if options.noise_images < 0:
        raise ValueError(f"--noise-images {options.noise_images} given; it must be at least 0.")
    folders = parse_sets(options.ood)
    if not folders and not options.noise_images:
        raise ValueError("no --ood NAME=DIR given and --noise-images 0; there is nothing to tell apart.")
    listings = {name: list_images(folder) for name, folder in folders.items()}
    trained = open_trained(options, ranks)
    folder = val_folder(trained.config, options.data)
    inside = classification.val_loader(trained.config, ranks, folder)
    classification.check_classes(trained.checkpoint.classes, inside.classes, folder)
    sets: dict[str, Any] = {"in-distribution": (images for images, _ in inside)}
    for name, paths in listings.items():
        sets[name] = (images for images, _ in val_images(trained, [(path, 0) for path in paths], ranks))
    for kind in NOISES if options.noise_images else ():
        batch_size = classification.share_of_batch(trained.config.batch_size, ranks)
        sets[kind] = noise(kind, options.noise_images, trained.config.crop, batch_size, ranks, options.seed)
    amp = trained.config.amp
    scores = {name: confidences(trained.model, batches, ranks, amp).numpy() for name, batches in sets.items()}
    results = {
        "checkpoint": str(trained.path),
        "weights": trained.weights,
        "data": str(folder),
        "score": "maximum softmax probability, float64; in-distribution is the positive class",
        "sets": {name: describe(scores["in-distribution"], found) for name, found in scores.items()},
    }
    return results, scores


def describe(inside: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Of one set; the metrics where it is another than ``inside``."""
    found = {} if scores is inside else asdict(detection(inside, scores))
    return {"images": len(scores), "confidence": 100 * scores.mean().item(), **found}


def parse_sets(given: tuple[str, ...]) -> dict[str, Path]:
    """Folders by name."""
    found: dict[str, Path] = {}
    for text in given:
        name, separator, folder = text.partition("=")
        if not (separator and name and folder):
            raise ValueError(f"--ood {text} given; wanted is NAME=DIR, such as lsun-crop=/data/lsun-crop.")
        if name in found or name in ("in-distribution", *NOISES):
            raise ValueError(f"--ood {text} given; another set has the name {name!r}.")
        found[name] = Path(folder)
    return found


def table(results: dict[str, Any]) -> str:
    """The results for reading, a row for each set."""
    lines = [f"{'':18}{'images':>8}{'confidence':>12}{'TNR at TPR 95':>15}{'AUROC':>8}{'detection':>11}"]
    for name, found in results["sets"].items():
        metrics = [found.get(metric) for metric in ("tnr95", "auroc", "accuracy")]
        shown = "".join("" if m is None else f"{m:>{w}.1f}" for m, w in zip(metrics, (15, 8, 11), strict=True))
        lines.append(f"{name:18}{found['images']:8}{found['confidence']:12.1f}{shown}")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Measure, print the table, write JSON and histograms; whatever cannot be is told in a plain sentence."""
    options = tyro.cli(Options, prog="python -m train.evaluate uncertainty", args=arguments)
    with ExitStack() as stack:
        try:
            ranks = stack.enter_context(join(options.device))
            results, scores = evaluate(options, ranks)
            if ranks.is_first:
                output = options.output or find(options.checkpoint).with_suffix(".uncertainty")
                print(table(results))
                for ending, content in (("json", json.dumps(results, indent=2).encode()), ("png", histogram(scores))):
                    write_atomically(output.with_name(f"{output.name}.{ending}"), content)
                print(f"written to {output}.json and .png")
        except (ValueError, OSError, dc.DecodeError) as error:
            sys.exit(f"error: {error}")

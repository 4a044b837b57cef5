"""The command ``python -m train.evaluate robustness CHECKPOINT --data DIR`` (paper, E.1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import dali_cutmix as dc
from train.config import Config, check
from train.data import reordered
from train.engine import Ranks
from train.evaluation import perturbations as p
from train.evaluation.evaluator import Evaluator, EvaluatorOptions, Report
from train.evaluation.trained_model import Trained, open_data, open_trained
from train.reporting import curves, to_csv
from train.tasks import classification

RULE = "right: the prediction is the label with the larger share, either label where both have half"
"""Definition of a correct prediction for an image in between two others; part of the results."""


@dataclass(frozen=True)
class RobustnessOptions(EvaluatorOptions):
    """Measure accuracy on adversarial, occluded and in-between images, as curves (PNG), CSV and JSON."""

    epsilons: tuple[float, ...] = (8,)
    """FGSM: sizes of the perturbation, for pixels from 0 to 255."""
    steps: int = 15
    """Number of hole sizes, evenly spaced from 0 to the image's side."""
    lambdas: int = 11
    """Number of Mixup's λ, evenly spaced from 0 to 1."""
    seed: int = 0
    """Seed of the pairs of images in between which images are made."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("steps", "lambdas"):
            check(name, getattr(self, name), getattr(self, name) >= 2, "at least 2")
        if not self.epsilons or not all(0 < epsilon <= 255 for epsilon in self.epsilons):
            raise ValueError(f"--epsilons {self.epsilons} given; each must be above 0 and at most 255.")


class Experiments:
    """The experiments with perturbed images, and the parameters of each.

    Args:
        options: numbers of parameters.
        config: configuration of the training, for size and normalization.
    """

    def __init__(self, options: RobustnessOptions, config: Config) -> None:
        self.size, self._levels = config.crop, (config.mean, config.std)
        holes = [float(side) for side in np.unique(np.linspace(0, self.size, options.steps).round())]
        self.parameters: dict[str, list[float]] = {
            "fgsm": [0.0, *options.epsilons],
            "occlusion-centre": holes,
            "occlusion-boundary": holes,
            "between-mixup": np.linspace(0, 1, options.lambdas).tolist(),
            "between-cutmix": holes,
        }

    def label_weight(self, name: str, parameter: float) -> float:
        """The weight of the image's own label, in an image that is mixed with a partner."""
        if name == "between-mixup":
            return parameter
        return 1 - (parameter / self.size) ** 2 if name == "between-cutmix" else 1.0

    def images(self, name: str, parameter: float, images: Tensor, partners: Tensor, signs: Tensor) -> Tensor:
        """Perturb a batch.

        Args:
            name: the experiment.
            parameter: the strength of its perturbation.
            images: N×3×H×W.
            partners: N×3×H×W, images to mix with.
            signs: signs of the gradients, for FGSM.
        """
        match name:
            case "fgsm":
                return p.fgsm(images, signs, parameter / 255, *self._levels)
            case "occlusion-centre":
                return p.occlude_centre(images, round(parameter))
            case "occlusion-boundary":
                return p.occlude_boundary(images, round(parameter))
            case "between-mixup":
                return p.between_mixup(images, partners, parameter)
        return p.between_cutmix(images, partners, round(parameter))


def count_correct(predicted: Tensor, own: Tensor, other: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """Count correct predictions for mixed images.

    Args:
        predicted: N int64, predicted classes.
        own: N int64, labels of the images.
        other: N int64, labels of their partners.
        weight: weight of the own label, see `Experiments.label_weight`.

    Returns:
        The number of predictions of the label with the larger weight (of either label if both are equal), and of
        predictions of either label.
    """
    is_own, either = predicted == own, (predicted == own) | (predicted == other)
    larger = is_own if weight > 0.5 else predicted == other if weight < 0.5 else either
    return larger.sum(), either.sum()


def evaluate(options: RobustnessOptions, ranks: Ranks) -> dict[str, Any]:
    """Measure a checkpoint.

    Returns:
        ``curves``: rows of each experiment with ``parameter``, ``top1`` and, for in-between images, ``either``, in
        percent; and what was measured.

    Raises:
        FileNotFoundError, ValueError: there is no such checkpoint or data, or they do not fit.
    """
    trained = open_trained(options, ranks)
    experiments = Experiments(options, trained.config)
    split, images = open_data(trained, options, ranks)
    total = sum(ranks.gather(images.num_samples))
    order = np.random.default_rng(options.seed).permutation(total).tolist()
    partners = classification.val_loader(trained.config, ranks, reordered(split, order))
    counts = count(trained, experiments, images, partners, ranks)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in experiments.parameters}
    for (name, parameter), (larger, either) in counts.items():
        row = {"parameter": parameter, "top1": 100 * larger / total}
        found[name].append(row | ({"either": 100 * either / total} if name.startswith("between") else {}))
    return {
        "checkpoint": str(trained.path),
        "weights": trained.weights,
        "data": split.name,
        "images": total,
        "pairs": f"{total}, each image with one of a random permutation, seed {options.seed}",
        "between": RULE,
        "curves": found,
    }


def count(
    trained: Trained[Config], experiments: Experiments, images: dc.Loader, partners: dc.Loader, ranks: Ranks
) -> dict[tuple[str, float], tuple[float, float]]:
    """Count correct predictions over all processes, by experiment and parameter; see `count_correct`."""
    keys = [(name, parameter) for name, values in experiments.parameters.items() for parameter in values]
    sums = torch.zeros(len(keys), 2, dtype=torch.float64, device=ranks.device)
    for (batch, own), (others, other) in zip(images, partners, strict=True):
        if len(own) == 0:  # this process's shard has fewer batches than others
            continue
        signs = p.gradient_sign(trained.model, batch, own)
        for row, (name, parameter) in zip(sums, keys, strict=True):
            perturbed = experiments.images(name, parameter, batch, others, signs)
            with torch.inference_mode(), torch.autocast(ranks.device.type, torch.bfloat16, enabled=trained.config.amp):
                predicted = trained.model(perturbed).argmax(dim=1)
            row += torch.stack(count_correct(predicted, own, other, experiments.label_weight(name, parameter)))
    found = ranks.sum(sums).tolist()
    return {key: (larger, either) for key, (larger, either) in zip(keys, found, strict=True)}


def table(results: dict[str, Any]) -> str:
    """Format the results, a line per experiment."""
    lines = [f"top-1 accuracy in %, {results['images']} images; in-between samples: {results['between']}"]
    for name, rows in results["curves"].items():
        shown = "  ".join(f"{row['parameter']:g}: {row['top1']:.1f}" for row in rows)
        lines.append(f"{name:20}{shown}")
    return "\n".join(lines)


def report(results: dict[str, Any]) -> Report:
    """Make the report of the results."""
    name = Path(results["checkpoint"]).parent.name
    rows = ({"experiment": name, **row} for name, found in results["curves"].items() for row in found)
    csv = to_csv(("experiment", "parameter", "top1", "either"), rows)
    return Report(table(results), results, {"csv": csv, "png": curves({name: results["curves"]})})


EVALUATOR = Evaluator("robustness", RobustnessOptions, evaluate, report)


def main(arguments: list[str]) -> None:
    """Run the command with these arguments."""
    EVALUATOR.command(arguments)

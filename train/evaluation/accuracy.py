"""The command ``python -m train.evaluate CHECKPOINT``: top-1, top-5 and loss."""

from __future__ import annotations

from dataclasses import dataclass

from train.engine import Ranks
from train.evaluation.evaluator import Evaluator, EvaluatorOptions, Report
from train.evaluation.trained_model import open_data, open_trained
from train.tasks import classification


@dataclass(frozen=True)
class AccuracyOptions(EvaluatorOptions):
    """Measure top-1, top-5 and loss of a classifier, as a table and JSON.

    Other evaluators, each with its own --help: python -m train.evaluate robustness | uncertainty | localization | all
    for classifiers, detection and captioning for detectors and captioners.
    """


AccuracyResult = dict[str, str | int | float]
"""Numbers and descriptions by name, as they are written to JSON."""


def evaluate(options: AccuracyOptions, ranks: Ranks) -> AccuracyResult:
    """Measure a checkpoint.

    Returns:
        ``top1`` and ``top5`` in percent (top-K for K < 5 classes), ``loss`` (mean cross entropy), and what was
        measured: ``checkpoint``, ``epoch``, ``weights`` ("model" or "ema"), ``data``, ``images``, ``classes``.

    Raises:
        FileNotFoundError: there is no such checkpoint or data.
        ValueError: the checkpoint is invalid, or does not fit the data or this version's models.
    """
    trained = open_trained(options, ranks)
    split, loader = open_data(trained, options, ranks)
    metrics = classification.evaluate(trained.model, loader, ranks, trained.config.amp)
    return {
        "checkpoint": str(trained.path),
        "epoch": trained.checkpoint.epoch,
        "weights": trained.weights,
        "data": split.name,
        "images": sum(ranks.gather(loader.num_samples)),
        "classes": len(trained.checkpoint.classes),
        **{name.removeprefix("val_"): value for name, value in metrics.items()},
    }


def table(results: AccuracyResult) -> str:
    """Format the results, a line each."""
    shown = results | {name: f"{results[name]:.2f} %" for name in ("top1", "top5")} | {"loss": f"{results['loss']:.4f}"}
    return "\n".join(f"{name:12}{value}" for name, value in shown.items())


def report(results: AccuracyResult) -> Report:
    """Make the report of the results."""
    return Report(table(results), results, {})


EVALUATOR = Evaluator("eval", AccuracyOptions, evaluate, report)


def main(arguments: list[str]) -> None:
    """Run the command with these arguments."""
    EVALUATOR.command(arguments)

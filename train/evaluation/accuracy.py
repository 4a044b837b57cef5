"""Accuracy: top-1, top-5 and loss."""

from __future__ import annotations

from dataclasses import dataclass

from train.engine import Ranks
from train.evaluation import evaluator
from train.evaluation.evaluator import Evaluator, Report
from train.evaluation.trained_model import open_data, open_trained
from train.tasks import classification


@dataclass(frozen=True)
class Options(evaluator.Options):
    """Measure a checkpoint on a folder of classes: top-1, top-5 and loss, as a table and as JSON.

    Others, each with a --help of its own: python -m train.evaluate robustness | uncertainty | localization | all, and
    detection | captioning for what was trained on a classifier.
    """


Results = dict[str, str | int | float]


def evaluate(options: Options, ranks: Ranks) -> Results:
    """Measure a checkpoint.

    Returns:
        ``top1`` and ``top5`` in percent (of K < 5 classes, top-K), ``loss`` (mean cross entropy), and what they
        belong to: ``checkpoint``, ``epoch``, ``weights`` ("model" or "ema"), ``data``, ``images``, ``classes``.

    Raises:
        FileNotFoundError: no such checkpoint or data.
        ValueError: the checkpoint is none, or does not fit the data or this version's models.
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


def table(results: Results) -> str:
    """The results for reading, one line each."""
    shown = results | {name: f"{results[name]:.2f} %" for name in ("top1", "top5")} | {"loss": f"{results['loss']:.4f}"}
    return "\n".join(f"{name:12}{value}" for name, value in shown.items())


def report(results: Results) -> Report:
    """For showing."""
    return Report(table(results), results, {})


EVALUATOR = Evaluator("eval", Options, evaluate, report)


def main(arguments: list[str]) -> None:
    """The command."""
    EVALUATOR.command(arguments)

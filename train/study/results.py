"""Results of a study's evaluations, with means and standard deviations over its seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.engine import Checkpoint
from train.study.plan import Plan, Training
from train.study.result_files import check_alike, read_result
from train.study.step import result
from train.study.transfer import EVALUATIONS

CurvePoint = dict[str, float]
"""``parameter``, ``top1`` and perhaps more."""
Transferred = dict[str, dict[str, dict[str, "Mean"]]]
"""Results of fine-tuning by recipe, method (or ``random``) and metric."""


@dataclass(frozen=True)
class Mean:
    """Mean and standard deviation of one number over the seeds.

    Example::

        >>> str(Mean.of([70.0, 72.0]))
        '71.0 ± 1.4'
    """

    mean: float
    std: float | None
    """Standard deviation of the sample (divided by n − 1); None for a single value."""
    values: list[float]

    @classmethod
    def of(cls, values: Iterable[float]) -> Mean:
        """Make it from the values, of which there must be at least one."""
        found = list(values)
        return cls(statistics.fmean(found), statistics.stdev(found) if len(found) > 1 else None, found)

    def __str__(self) -> str:
        return f"{self.mean:.1f}" + (f" ± {self.std:.1f}" if self.std is not None else "")


@dataclass(frozen=True)
class MethodResults:
    """Results of one method, in percent; what was not evaluated is empty."""

    top1_error: Mean
    curves: dict[str, list[dict[str, Any]]]
    """Robustness: by experiment, rows of ``parameter``, ``top1`` (a `Mean`) and perhaps ``either``."""
    detection: dict[str, dict[str, Mean]]
    """Uncertainty: by set, ``tnr95``, ``auroc``, ``accuracy`` and ``confidence``."""
    localization: dict[str, Mean]
    """Localization: ``top1_loc``, ``gt_known_loc`` and ``max_box_acc``."""
    training: list[dict[str, Any]]
    """Learning curve: rows of ``parameter``, the epoch, and ``top1`` on the validation images (a `Mean`)."""


def collect(plan: Plan) -> dict[str, MethodResults]:
    """Read the results of the evaluations, by method; a method with a missing evaluation is left out.

    Raises:
        OSError, ValueError: a file is damaged, or has other experiments than the others.
    """
    missing = {
        one.method for one in plan.trainings for name in plan.evaluations if not result(one.folder, name).exists()
    }
    if complete := [one.folder for one in plan.trainings if one.method not in missing]:
        for name in plan.evaluations:
            check_alike(name, complete)
    return {method: _of_method(plan, method) for method in plan.options.methods if method not in missing}


def collect_transfer(plan: Plan) -> Transferred:
    """Read the results of fine-tuning; recipes and methods with a missing evaluation are left out.

    Raises:
        OSError, ValueError: a file is damaged.
    """
    found = {recipe: _of_recipe([*plan.trainings, *plan.random], recipe) for recipe in plan.options.transfer}
    return {recipe: by_method for recipe, by_method in found.items() if by_method}


def _of_recipe(trainings: list[Training], recipe: str) -> dict[str, dict[str, Mean]]:
    folders: dict[str, list[Path]] = {}
    for one in trainings:
        folders.setdefault(one.method, []).append(one.folder / recipe)
    evaluation = EVALUATIONS[recipe]
    found = {}
    for method, mine in folders.items():
        if all(result(folder, evaluation).exists() for folder in mine):
            contents = [read_result(folder, evaluation) for folder in mine]
            same = [content | content.get("coco", {}) for content in contents]
            found[method] = {
                name: Mean.of(one[metric] for one in same)
                for metric, name in METRICS[evaluation].items()
                if all(one.get(metric) is not None for one in same)
            }
    return found


METRICS = {
    "detection": {"map07": "map07", "mean": "coco_ap"},
    "captioning": {name: name for name in ("bleu1", "bleu2", "bleu3", "bleu4", "meteor", "rouge_l", "cider")},
}
"""Metrics of fine-tuning to collect, by evaluation: their names in its file, and their names here."""


def _of_method(plan: Plan, method: str) -> MethodResults:
    trainings = [training for training in plan.trainings if training.method == method]
    found = {name: [read_result(training.folder, name) for training in trainings] for name in plan.evaluations}
    histories = {training.folder: _history(training.folder) for training in trainings}
    for folder, rows in histories.items():
        if [row["parameter"] for row in rows] != [row["parameter"] for row in histories[trainings[0].folder]]:
            raise ValueError(f"{folder}: its checkpoint has other validated epochs than {trainings[0].folder}.")
    return MethodResults(
        top1_error=Mean.of(100 - one["top1"] for one in found["eval"]),
        curves={
            name: _mean_rows([one["curves"][name] for one in found["robustness"]])
            for name in found["robustness"][0]["curves"]
        },
        detection={
            name: {
                metric: Mean.of(one["sets"][name][metric] for one in found["uncertainty"])
                for metric in ("tnr95", "auroc", "accuracy", "confidence")
                if metric in content
            }
            for name, content in found["uncertainty"][0]["sets"].items()
        },
        localization={
            metric: Mean.of(one[metric] for one in found["localization"])
            for metric in ("top1_loc", "gt_known_loc", "max_box_acc")
        }
        if "localization" in found
        else {},
        training=_mean_rows([*histories.values()]),
    )


def _history(folder: Path) -> list[CurvePoint]:
    """The validated epochs of a run, from its checkpoint: if it was killed, metrics.csv may lack the last one."""
    rows = Checkpoint.load(folder).history
    return [{"parameter": row["epoch"], "top1": row["val_top1"]} for row in rows if "val_top1" in row]


def _mean_rows(runs: list[list[CurvePoint]]) -> list[dict[str, Any]]:
    """Merge the rows of several runs: ``parameter`` is the same in all, other values become a `Mean`."""
    return [
        {name: value if name == "parameter" else Mean.of(row[name] for row in same) for name, value in same[0].items()}
        for same in zip(*runs, strict=True)
    ]

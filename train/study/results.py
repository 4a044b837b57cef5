"""Results: what the evaluations of a study found, with means and standard deviations over its seeds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.engine import Checkpoint
from train.study.plan import Plan, Training
from train.study.step import result
from train.study.transfer import EVALUATIONS

CurvePoint = dict[str, float]
Transferred = dict[str, dict[str, dict[str, "Mean"]]]
"""What was fine-tuned: by recipe, method (and ``random``) and metric."""


@dataclass(frozen=True)
class Mean:
    """Of one number over the seeds."""

    mean: float
    std: float | None
    """Of the sample (divided by n − 1); None of one value."""
    values: list[float]

    @classmethod
    def of(cls, values: Iterable[float]) -> Mean:
        """Of at least one value."""
        found = list(values)
        return cls(statistics.fmean(found), statistics.stdev(found) if len(found) > 1 else None, found)

    def __str__(self) -> str:
        return f"{self.mean:.1f}" + (f" ± {self.std:.1f}" if self.std is not None else "")


@dataclass(frozen=True)
class MethodResults:
    """Of one method. Percent everywhere; what was not evaluated is empty."""

    top1_error: Mean
    curves: dict[str, list[dict[str, Any]]]
    """Of robustness: by experiment rows of ``parameter``, ``top1`` (a `Mean`), perhaps ``either``."""
    detection: dict[str, dict[str, Mean]]
    """Of uncertainty: by set ``tnr95``, ``auroc``, ``accuracy``, ``confidence``."""
    localization: dict[str, Mean]
    """``top1_loc``, ``gt_known_loc``, ``max_box_acc``."""
    training: list[dict[str, Any]]
    """By epoch: ``parameter``, the epoch; ``top1`` on the validation images (a `Mean`)."""


def collect(plan: Plan) -> dict[str, MethodResults]:
    """Read what the evaluations wrote, of the methods of which none is missing.

    Raises:
        OSError, ValueError: something is damaged.
    """
    missing = {
        one.method for one in plan.trainings for name in plan.evaluations if not result(one.folder, name).exists()
    }
    return {method: _of_method(plan, method) for method in plan.options.methods if method not in missing}


def collect_transfer(plan: Plan) -> Transferred:
    """What was fine-tuned, of the recipes and methods of which nothing is missing.

    Raises:
        OSError, ValueError: something is damaged.
    """
    found = {recipe: _of_recipe([*plan.trainings, *plan.random], recipe) for recipe in plan.options.transfer}
    return {recipe: by_method for recipe, by_method in found.items() if by_method}


def _of_recipe(trainings: list[Training], recipe: str) -> dict[str, dict[str, Mean]]:
    files: dict[str, list[Path]] = {}
    for one in trainings:
        files.setdefault(one.method, []).append(result(one.folder / recipe, EVALUATIONS[recipe]))
    found = {}
    for method, mine in files.items():
        if all(file.exists() for file in mine):
            contents = [json.loads(file.read_bytes()) for file in mine]
            same = [content | content.get("coco", {}) for content in contents]
            found[method] = {
                name: Mean.of(one[metric] for one in same)
                for metric, name in METRICS[EVALUATIONS[recipe]].items()
                if all(one.get(metric) is not None for one in same)
            }
    return found


METRICS = {
    "detection": {"map07": "map07", "mean": "coco_ap"},
    "captioning": {name: name for name in ("bleu1", "bleu2", "bleu3", "bleu4", "meteor", "rouge_l", "cider")},
}
"""What is shown of what was fine-tuned: by evaluation the name in its file, and here."""


def _of_method(plan: Plan, method: str) -> MethodResults:
    trainings = [training for training in plan.trainings if training.method == method]
    found = {
        name: [json.loads(result(training.folder, name).read_bytes()) for training in trainings]
        for name in plan.evaluations
    }
    histories = [_history(training.folder) for training in trainings]
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
        training=_mean_rows(histories),
    )


def _history(folder: Path) -> list[CurvePoint]:
    """The epochs that were validated. Of the checkpoint: metrics.csv may lack the last one where a run was killed."""
    rows = Checkpoint.load(folder).history
    return [{"parameter": row["epoch"], "top1": row["val_top1"]} for row in rows if "val_top1" in row]


def _mean_rows(runs: list[list[CurvePoint]]) -> list[dict[str, Any]]:
    """The same rows of several runs as one: ``parameter`` as it is, the rest as `Mean`."""
    return [
        {name: value if name == "parameter" else Mean.of(row[name] for row in same) for name, value in same[0].items()}
        for same in zip(*runs, strict=True)
    ]

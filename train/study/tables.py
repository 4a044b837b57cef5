"""Tables of a study: a row per method, with the best value of each column marked, and the paper's values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from train.study import published
from train.study.results import Mean, MethodResults

NAMES = {"none": "None", "mixup": "Mixup", "cutout": "Cutout", "cutmix": "CutMix", "random": "random network"}
METRICS = {"tnr95": "TNR at TPR 95 %", "auroc": "AUROC", "accuracy": "Detection accuracy"}
LOCALIZATION = {"top1_loc": "Top-1 Loc", "gt_known_loc": "GT-known Loc", "max_box_acc": "MaxBoxAcc"}

TRANSFER = {
    "map07": "mAP07",
    "coco_ap": "COCO AP",
    "bleu1": "BLEU-1",
    "bleu2": "BLEU-2",
    "bleu3": "BLEU-3",
    "bleu4": "BLEU-4",
    "meteor": "METEOR",
    "rouge_l": "ROUGE-L",
    "cider": "CIDEr",
}

ResultsByMethod = Mapping[str, MethodResults]
"""Results by the method's name."""


@dataclass(frozen=True)
class Cell:
    """One number of a table."""

    value: str
    is_best: bool
    """Whether it is the best of its column."""
    published: str
    """The paper's number; empty if there is none."""


@dataclass(frozen=True)
class Table:
    """Numbers by method."""

    columns: tuple[str, ...]
    rows: dict[str, list[Cell]]
    """Cells by the method's name."""
    has_published: bool
    """Whether the paper has numbers of these columns."""
    measured_on: str = ""
    """Data and model of the published numbers."""


@dataclass(frozen=True)
class Column:
    """Input of a table's column: one number of each method, in percent."""

    name: str
    values: Mapping[str, Mean]
    published: Mapping[str, float]
    lowest_is_best: bool = False


def table_of(*columns: Column, recipe: str = "") -> Table:
    """Make a table of columns, which all have the same methods.

    Args:
        columns: from left to right.
        recipe: recipe of the published numbers.
    """
    methods = list(columns[0].values)
    cells = [[_cell(column, method) for column in columns] for method in methods]
    return Table(
        tuple(column.name for column in columns),
        {NAMES[method]: row for method, row in zip(methods, cells, strict=True)},
        any(column.published for column in columns),
        published.MEASURED_ON.get(recipe, ""),
    )


def _cell(column: Column, method: str) -> Cell:
    means = {name: round(value.mean, 1) for name, value in column.values.items()}
    best = (min if column.lowest_is_best else max)(means.values())
    known = column.published.get(method)
    return Cell(str(column.values[method]), means[method] == best, "" if known is None else f"{known:.1f}")


def errors(results: ResultsByMethod, recipe: str) -> Table:
    """The table of top-1 errors on the validation images."""
    values = {method: found.top1_error for method, found in results.items()}
    known = published.TOP1_ERROR.get(recipe, {})
    return table_of(Column("Top-1 error", values, known, lowest_is_best=True), recipe=recipe)


def attacks(results: ResultsByMethod) -> Table:
    """The table of top-1 accuracies under FGSM, a column per size of the perturbation."""
    sizes = [row["parameter"] for row in next(iter(results.values())).curves["fgsm"]]
    return table_of(
        *(
            Column(f"ε = {size:g}/255", {m: found.curves["fgsm"][number]["top1"] for m, found in results.items()}, {})
            for number, size in enumerate(sizes)
        )
    )


def detections(results: ResultsByMethod) -> dict[str, Table]:
    """The tables of out-of-distribution detection, by set."""
    sets = [name for name, found in next(iter(results.values())).detection.items() if "auroc" in found]

    def column(name: str, number: int, metric: str, title: str) -> Column:
        known = published.OUT_OF_DISTRIBUTION.get(name, {})
        values = {method: found.detection[name][metric] for method, found in results.items()}
        return Column(title, values, {method: numbers[number] for method, numbers in known.items()})

    return {
        name: table_of(
            *(column(name, number, *metric) for number, metric in enumerate(METRICS.items())),
            recipe=published.OUT_OF_DISTRIBUTION_RECIPE,
        )
        for name in sets
    }


def localizations(results: ResultsByMethod, recipe: str) -> Table | None:
    """The table of localization; None if it was not evaluated."""
    if not all(found.localization for found in results.values()):
        return None
    known = {"top1_loc": published.TOP1_LOC.get(recipe, {})}
    return table_of(
        *(
            Column(
                title, {method: found.localization[metric] for method, found in results.items()}, known.get(metric, {})
            )
            for metric, title in LOCALIZATION.items()
        ),
        recipe=recipe,
    )


def transfers(found: Mapping[str, Mapping[str, Mapping[str, Mean]]]) -> dict[str, Table]:
    """The tables of fine-tuning, by recipe, with the metrics that all methods have (METEOR needs Java)."""
    return {
        recipe: table_of(
            *(
                Column(
                    TRANSFER[metric],
                    {method: of[metric] for method, of in by_method.items()},
                    published.TRANSFER[recipe].get(metric, {}),
                )
                for metric in next(iter(by_method.values()))
                if all(metric in of for of in by_method.values())
            ),
            recipe=recipe,
        )
        for recipe, by_method in found.items()
    }

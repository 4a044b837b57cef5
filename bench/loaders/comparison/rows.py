"""The rows of a comparison's result: one for each loader."""

from dataclasses import asdict
from statistics import median
from typing import Any

from bench.loaders.contenders import BASELINE, Contender
from bench.loaders.process import Throughput

FAILED = "failed: "
"""The start of the reason for which a loader that could have been measured was not."""


def row(contender: Contender, delivers: dict[str, Any], measured: list[Throughput]) -> dict[str, Any]:
    """Make a loader's entry in the JSON; its ratio is added by ``add_ratios``."""
    rates = [each.images_per_second for each in measured]
    return {
        "name": contender.name,
        "label": contender.label,
        "note": contender.note,
        "images_per_second": median(rates),
        "min": min(rates),
        "max": max(rates),
        "ratio": None,
        "core_ms_per_image": median(each.core_ms_per_image for each in measured),
        "rounds": [asdict(each) for each in measured],
        "delivers": delivers,
    }


def add_ratios(rows: list[dict[str, Any]]) -> None:
    """Set each row's ratio of its median to that of plain DALI; None where plain DALI was not measured."""
    rates = {entry["name"]: entry["images_per_second"] for entry in rows}
    for entry in rows:
        entry["ratio"] = entry["images_per_second"] / rates[BASELINE] if BASELINE in rates else None

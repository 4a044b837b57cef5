"""The loaders' results as a table and as a bar chart."""

from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.common import Contender, headline, warn_of_disturbance
from bench.loaders.contenders import BASELINE, OURS, READING
from bench.loaders.serving import Rate
from bench.loaders.stages import print_stages

FAILED = "failed: "
"""What the reason of a loader that could have been measured begins with."""


def row(contender: Contender, delivers: dict[str, Any], rates: list[Rate]) -> dict[str, Any]:
    """One contender's entry in the JSON; its ratio is added by ``add_ratios``."""
    speeds = [rate.images_per_second for rate in rates]
    return {
        "name": contender.name,
        "label": contender.label,
        "note": contender.note,
        "images_per_second": median(speeds),
        "min": min(speeds),
        "max": max(speeds),
        "ratio": None,
        "core_ms_per_image": median(rate.core_ms_per_image for rate in rates),
        "rounds": [asdict(rate) for rate in rates],
        "delivers": delivers,
    }


def add_ratios(rows: list[dict[str, Any]]) -> None:
    """Median over the median of plain DALI; None where that was not measured."""
    speeds = {entry["name"]: entry["images_per_second"] for entry in rows}
    for entry in rows:
        entry["ratio"] = entry["images_per_second"] / speeds[BASELINE] if BASELINE in speeds else None


def print_table(result: dict[str, Any], console: Console) -> None:
    """Medians, spread and ratios; how this library's CutMix compares; its stages; who failed; notes and warnings."""
    console.print(headline(result))
    table = Table()
    for name in ("loader", "images/s", "min to max", "of plain DALI", "core-ms/image"):
        table.add_column(name, justify="left" if name == "loader" else "right", no_wrap=True)
    for entry in result["contenders"]:
        table.add_row(
            entry["label"],
            f"{entry['images_per_second']:,.0f}",
            f"{entry['min']:,.0f} to {entry['max']:,.0f}",
            "" if entry["ratio"] is None else f"{entry['ratio']:.2f}",
            f"{entry['core_ms_per_image']:.2f}",
        )
    failed = [entry for entry in result["skipped"] if entry["reason"].startswith(FAILED)]
    for entry in failed:
        table.add_row(entry["label"], "failed")
    console.print(table)
    speeds = {entry["label"]: entry["images_per_second"] for entry in _decoding(result)}
    ours = next((entry for entry in result["contenders"] if entry["name"] == OURS), None)
    if ours:
        others = [
            f"{ours['images_per_second'] / speed:.2f} × {label}"
            for label, speed in speeds.items()
            if label != ours["label"]
        ]
        console.print(f"{ours['label']}: " + ("; ".join(others) or "measured alone"))
    print_stages(result["stages"], console)
    for entry in result["contenders"]:
        if entry["note"]:
            console.print(f"[dim]{entry['label']}: {entry['note']}[/dim]")
    for entry in result["skipped"]:
        style = "yellow" if entry in failed else "dim"
        console.print(f"not measured: {entry['label']}: {entry['reason']}", style=style, markup=False, highlight=False)
    warn_of_disturbance(
        [part["cores_elsewhere"] for entry in result["contenders"] for part in entry["rounds"]], console
    )


def _decoding(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in result["contenders"] if entry["name"] != READING]


def draw_chart(path: Path, result: dict[str, Any]) -> None:
    """A bar for each contender that decodes, best on top, with its spread and its ratio to plain DALI (PNG)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    entries = sorted(_decoding(result) or result["contenders"], key=lambda entry: entry["images_per_second"])
    figure = Figure(figsize=(9, 1.2 + 0.45 * len(entries)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    speeds = [entry["images_per_second"] for entry in entries]
    spread = [
        [entry["images_per_second"] - entry["min"] for entry in entries],
        [entry["max"] - entry["images_per_second"] for entry in entries],
    ]
    colours = ["#76b900" if entry["name"].startswith("ours") else "#9aa5b1" for entry in entries]
    labels = [entry["label"] for entry in entries]
    axes.barh(labels, speeds, xerr=spread, color=colours, error_kw={"capsize": 3, "elinewidth": 1})
    for position, entry in enumerate(entries):
        ratio = "" if entry["ratio"] is None else f"  ({entry['ratio']:.2f})"
        axes.annotate(
            f"{entry['images_per_second']:,.0f}{ratio}",
            (entry["max"], position),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_xlim(0, 1.18 * max(entry["max"] for entry in entries))
    axes.set_xlabel("images/s, median and spread (in parentheses: of plain DALI)")
    axes.set_title(headline(result), fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)

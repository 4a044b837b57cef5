"""The result of ``python -m bench loaders`` as tables and as a bar chart."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.common.cli import headline, warn_of_disturbance
from bench.loaders.comparison import FAILED, STAGES
from bench.loaders.contenders import OURS, READING
from dali_cutmix.utils import printable


def print_table(result: dict[str, Any], console: Console) -> None:
    """Print medians, spread and ratios; how this library's CutMix compares; its stages; failures and notes."""
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
    rates = {entry["label"]: entry["images_per_second"] for entry in _decoding(result)}
    ours = next((entry for entry in result["contenders"] if entry["name"] == OURS), None)
    if ours:
        others = [
            f"{ours['images_per_second'] / rate:.2f} × {label}"
            for label, rate in rates.items()
            if label != ours["label"]
        ]
        console.print(f"{ours['label']}: " + ("; ".join(others) or "measured alone"))
    print_stages(result["stages"], console)
    for entry in result["contenders"]:
        if entry["note"]:
            console.print(f"[dim]{entry['label']}: {entry['note']}[/dim]")
    for entry in result["skipped"]:
        style = "yellow" if entry in failed else "dim"
        reason = printable(entry["reason"])
        console.print(f"not measured: {entry['label']}: {reason}", style=style, markup=False, highlight=False)
    warn_of_disturbance(
        [part["cores_elsewhere"] for entry in result["contenders"] for part in entry["rounds"]], console
    )


def print_stages(found: dict[str, Any] | None, console: Console) -> None:
    """Print the stages as a table, or which loaders are missing for it."""
    if found is None:
        names = " ".join(name for _, name in STAGES)
        console.print(f"[dim]Share of each stage: not told apart; that needs {names}.[/dim]")
        return
    unit = "core-ms/image" if found["measure"] == "core_ms" else "ms/image"
    table = Table(title="Stages of dali_cutmix, CutMix", title_justify="left")
    for name in ("stage", unit, "spread", "share", ""):
        table.add_column(name, justify="right" if name in (unit, "spread", "share") else "left", no_wrap=True)
    for part in found["parts"]:
        spread = part["spread"]
        table.add_row(
            part["stage"],
            f"{part['ms_per_image']:.3f}",
            "unknown" if spread is None else f"{spread:.3f}",
            f"{part['share']:.0%}",
            "within the noise" if part["within_spread"] else "",
        )
    console.print(table)
    console.print(f"[dim]{found['meaning']}[/dim]")
    if any(part["spread"] is None for part in found["parts"]):
        console.print("[dim]One round tells no spread: --rounds 3 or more does.[/dim]")


def _decoding(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in result["contenders"] if entry["name"] != READING]


def draw_chart(path: Path, result: dict[str, Any]) -> None:
    """Draw a bar for each contender that decodes, the fastest on top, with spread and ratio to plain DALI, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    entries = sorted(_decoding(result) or result["contenders"], key=lambda entry: entry["images_per_second"])
    figure = Figure(figsize=(9, 1.2 + 0.45 * len(entries)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    rates = [entry["images_per_second"] for entry in entries]
    spread = [
        [entry["images_per_second"] - entry["min"] for entry in entries],
        [entry["max"] - entry["images_per_second"] for entry in entries],
    ]
    colours = ["#76b900" if entry["name"].startswith("ours") else "#9aa5b1" for entry in entries]
    labels = [entry["label"] for entry in entries]
    axes.barh(labels, rates, xerr=spread, color=colours, error_kw={"capsize": 3, "elinewidth": 1})
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

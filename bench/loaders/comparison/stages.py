"""Where this library's loader spends its time: differences of what was measured in one run."""

from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

STAGES = (
    ("reading", "dali-read"),
    ("decoding + cropping", "dali-decode"),
    ("resampling + normalization", "ours"),
    ("mixing", "ours-cutmix"),
)
"""Each stage, and the contender that does it and all the stages before it, and nothing more."""
ON_A_GPU = {"dali-decode": "dali-decode-whole"}
"""Contenders that are taken in the place of others where a GPU was measured: its loaders decode whole images."""

CPU_TIME = (
    "CPU time of all threads, as each stage adds to it (core-ms/image). Resampling + normalization holds the flip and "
    "the hand-off to PyTorch, mixing the targets."
)
ELAPSED = (
    "What each stage adds to the loader's elapsed time per image. Stages run side by side, so this is a marginal cost: "
    "a stage that hides behind a slower one adds little, however long it takes itself."
)


def stages(rows: list[dict[str, Any]], device: str) -> dict[str, Any] | None:
    """Cost of each stage in ms per image, and its share of the whole loader.

    On a CPU it is CPU time, on a GPU elapsed time (of a whole batch, over its images). A difference is taken of the
    medians and is never negative; its spread is that of the differences within each round, largest minus smallest.

    Args:
        rows: of the contenders, as ``report.row`` makes them.
        device: that was measured.

    Returns:
        An entry for the JSON; None where a contender of ``STAGES`` was not measured.
    """
    found = {entry["name"]: entry["rounds"] for entry in rows}
    if device != "cpu":
        found |= {name: found[whole] for name, whole in ON_A_GPU.items() if whole in found}
    if any(name not in found for _, name in STAGES):
        return None
    parts = []
    before = [0.0] * len(found[STAGES[0][1]])
    for stage, name in STAGES:
        now = [_cost(part, device) for part in found[name]]
        parts.append({"stage": stage, **_difference(now, before)})
        before = now
    whole = sum(part["ms_per_image"] for part in parts)
    for part in parts:
        part["share"] = part["ms_per_image"] / whole
    return {
        "measure": "core_ms" if device == "cpu" else "elapsed_ms",
        "meaning": CPU_TIME if device == "cpu" else ELAPSED,
        "parts": parts,
    }


def _cost(measured: dict[str, float], device: str) -> float:
    return measured["core_ms_per_image"] if device == "cpu" else 1000 / measured["images_per_second"]


def _difference(now: list[float], before: list[float]) -> dict[str, Any]:
    difference = median(now) - median(before)
    each = [one - other for one, other in zip(now, before, strict=True)]
    spread = max(each) - min(each) if len(each) > 1 else None
    return {
        "ms_per_image": max(0.0, difference),
        "spread": spread,
        "within_spread": None if spread is None else difference <= spread,
    }


def print_stages(found: dict[str, Any] | None, console: Console) -> None:
    """A small table under the loaders', or what was missing for it."""
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

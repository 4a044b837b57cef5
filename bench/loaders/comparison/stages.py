"""The stages of this library's loader and what each costs: differences between loaders that were measured together."""

from statistics import median
from typing import Any

STAGES = (
    ("reading", "dali-read"),
    ("decoding + cropping", "dali-decode"),
    ("resampling + normalization", "ours"),
    ("mixing", "ours-cutmix"),
)
"""Each stage, and the contender that does this stage and all stages before it, and nothing more."""
WHOLE_IMAGES_ON_GPU = {"dali-decode": "dali-decode-whole"}
"""Contenders to use in place of others where a GPU was measured: there the loader decodes whole images."""

CPU_TIME = (
    "CPU time of all threads, as each stage adds to it (core-ms/image). Resampling + normalization holds the flip and "
    "the hand-off to PyTorch, mixing the targets."
)
ELAPSED = (
    "What each stage adds to the loader's elapsed time per image. Stages run side by side, so this is a marginal cost: "
    "a stage that hides behind a slower one adds little, however long it takes itself."
)


def stage_costs(rows: list[dict[str, Any]], device: str) -> dict[str, Any] | None:
    """Compute the cost of each stage in ms per image, and its share of the whole loader.

    ::

        dali-read     ├ reading ┤
        dali-decode   ├─────────┼ decoding + cropping ┤
        ours          ├─────────┼─────────────────────┼ resampling + normalization ┤
        ours-cutmix   ├─────────┼─────────────────────┼────────────────────────────┼ mixing ┤

    On a CPU the cost is CPU time, on a GPU elapsed time (of a batch, divided by its images). It is the difference of
    two medians and never negative; its spread is the largest minus the smallest difference within a round.

    Args:
        rows: rows of the contenders, from ``each_round``.
        device: the device that was measured.

    Returns:
        An entry for the JSON, or None where a contender of ``STAGES`` was not measured.
    """
    found = {entry["name"]: entry["rounds"] for entry in rows}
    if device != "cpu":
        found |= {name: found[whole] for name, whole in WHOLE_IMAGES_ON_GPU.items() if whole in found}
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

"""Figures of the evaluators, as PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

PANELS = {
    "fgsm": "FGSM: size of the perturbation, levels of 255",
    "occlusion-centre": "centre occlusion: side of the hole, pixels",
    "occlusion-boundary": "boundary occlusion: side that is left, pixels",
    "between-mixup": "in between, Mixup: λ",
    "between-cutmix": "in between, CutMix: side of the hole, pixels",
}


def histogram(scores: Mapping[str, np.ndarray]) -> bytes:
    """Histograms of scores from 0 to 1: one panel for each set, over the first one's.

    Args:
        scores: by the sets' names; the first one is in-distribution.
    """
    (reference, inside), *others = scores.items()
    columns = min(3, len(others))
    rows = -(-len(others) // columns)
    figure, axes = _figure(rows, columns)
    bins = np.linspace(0, 1, 41)
    for axis, (name, outside) in zip(axes, others, strict=False):
        for label, values, colour in ((reference, inside, "tab:blue"), (name, outside, "tab:orange")):
            share = np.full(len(values), 100 / len(values))
            axis.hist(values, bins, weights=share, alpha=0.6, color=colour, label=label)
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("maximum softmax probability", fontsize=8)
        axis.set_ylabel("% of images", fontsize=8)
        axis.legend(fontsize=7)
    for axis in axes[len(others) :]:
        axis.set_visible(False)
    return _png(figure)


def curves(methods: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]) -> bytes:
    """Top-1 accuracy against the strength of a perturbation: a panel for each experiment, a line for each method.

    Args:
        methods: by name, and by experiment (a key of ``PANELS``) rows of ``parameter``, ``top1``, perhaps ``either``.
    """
    columns = 3
    figure, axes = _figure(-(-len(PANELS) // columns), columns)
    for axis, (experiment, title) in zip(axes, PANELS.items(), strict=False):
        for number, (method, found) in enumerate(methods.items()):
            rows, colour = found[experiment], f"C{number}"
            parameters = [row["parameter"] for row in rows]
            axis.plot(parameters, [row["top1"] for row in rows], "o-", markersize=3, color=colour, label=method)
            if "either" in rows[0]:
                axis.plot(
                    parameters, [row["either"] for row in rows], ":", color=colour, label=f"{method}, either label"
                )
        axis.set_title(title, fontsize=9)
        axis.set_ylabel("top-1 accuracy, %", fontsize=8)
        axis.set_ylim(0, 100)
        axis.legend(fontsize=7)
    for axis in axes[len(PANELS) :]:
        axis.set_visible(False)
    return _png(figure)


def _figure(rows: int, columns: int) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * columns, 2.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False).ravel()


def _png(figure: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()

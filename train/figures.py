"""Figures of the evaluators, as PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np


def histogram(scores: Mapping[str, np.ndarray]) -> bytes:
    """Histograms of scores from 0 to 1: one panel for each set, over the first one's.

    Args:
        scores: by the sets' names; the first one is in-distribution.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    (reference, inside), *others = scores.items()
    columns = min(3, len(others))
    rows = -(-len(others) // columns)
    figure = Figure(figsize=(4 * columns, 2.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
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
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()

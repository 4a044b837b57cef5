"""Figures of evaluators and studies, as PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

PANELS = {
    "fgsm": "FGSM: size of the perturbation, levels of 255",
    "occlusion-centre": "centre occlusion: side of the hole, pixels",
    "occlusion-boundary": "boundary occlusion: side that is left, pixels",
    "between-mixup": "in between, Mixup: λ",
    "between-cutmix": "in between, CutMix: side of the hole, pixels",
}
"""Titles of the panels of `curves`, by experiment."""

Rows = Sequence[Mapping[str, float]]
"""Points of a curve: ``parameter``, ``top1`` and more by name."""


def histogram(scores: Mapping[str, np.ndarray]) -> bytes:
    """Draw histograms of scores from 0 to 1: a panel for each set, together with the first set.

    Args:
        scores: scores by the sets' names; the first set is in-distribution.
    """
    (reference, inside), *others = scores.items()
    columns = min(3, len(others))
    rows = -(-len(others) // columns)
    figure, axes = grid(rows, columns)
    bins = np.linspace(0, 1, 41)
    for axis, (name, outside) in zip(axes, others, strict=False):
        for label, values, colour in ((reference, inside, "tab:blue"), (name, outside, "tab:orange")):
            percent = np.full(len(values), 100 / len(values))
            axis.hist(values, bins, weights=percent, alpha=0.6, color=colour, label=label)
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("maximum softmax probability", fontsize=8)
        axis.set_ylabel("% of images", fontsize=8)
        axis.legend(fontsize=7)
    for axis in axes[len(others) :]:
        axis.set_visible(False)
    return to_png(figure)


def curves(methods: Mapping[str, Mapping[str, Rows]]) -> bytes:
    """Draw top-1 accuracy against the strength of a perturbation: a panel per experiment, a line per method.

    Args:
        methods: by name, then by experiment (a key of ``PANELS``), rows of ``parameter``, ``top1`` and optionally
            ``either`` and ``std``, the standard deviation of ``top1``, which is drawn as a band.
    """
    columns = 3
    figure, axes = grid(-(-len(PANELS) // columns), columns)
    for axis, (experiment, title) in zip(axes, PANELS.items(), strict=False):
        for number, (method, found) in enumerate(methods.items()):
            rows, colour = found[experiment], f"C{number}"
            _line(axis, rows, colour, method)
            if "either" in rows[0]:
                values = [[row[name] for row in rows] for name in ("parameter", "either")]
                axis.plot(*values, ":", color=colour, label=f"{method}, either label")
        axis.set_title(title, fontsize=9)
        axis.set_ylabel("top-1 accuracy, %", fontsize=8)
        axis.set_ylim(0, 100)
        axis.legend(fontsize=7)
    for axis in axes[len(PANELS) :]:
        axis.set_visible(False)
    return to_png(figure)


def learning_curves(methods: Mapping[str, Rows]) -> bytes:
    """Draw top-1 accuracy by epoch, a line per method.

    Args:
        methods: by name, rows of ``parameter`` (the epoch), ``top1`` and optionally ``std``.
    """
    figure, (axis,) = grid(1, 1, width=8)
    for number, (method, rows) in enumerate(methods.items()):
        _line(axis, rows, f"C{number}", method)
    axis.set_xlabel("epoch", fontsize=8)
    axis.set_ylabel("top-1 accuracy, %", fontsize=8)
    axis.legend(fontsize=7)
    return to_png(figure)


def _line(axis: Any, rows: Rows, colour: str, label: str) -> None:
    parameters, top1 = (np.array([row[name] for row in rows]) for name in ("parameter", "top1"))
    axis.plot(parameters, top1, "o-", markersize=3, color=colour, label=label)
    if "std" in rows[0]:
        std = np.array([row["std"] for row in rows])
        axis.fill_between(parameters, top1 - std, top1 + std, color=colour, alpha=0.15, linewidth=0)


@dataclass(frozen=True)
class Overlay:
    """An image with its class activation map and boxes, to be drawn."""

    image: np.ndarray
    """H×W×3 uint8."""
    activations: np.ndarray
    """H×W, the class activation map."""
    truth: np.ndarray
    """True boxes, n×4: x1, y1, x2, y2 in pixels."""
    box: tuple[float, float, float, float] | None
    """The box that was found, if any."""
    title: str


def overlays(pictures: Sequence[Overlay], columns: int = 4) -> bytes:
    """Draw each image beside its map, with the true boxes in green and the found one in red."""
    figure, axes = grid(-(-len(pictures) // columns), columns)
    for axis, picture in zip(axes, pictures, strict=False):
        height, width = picture.activations.shape
        axis.imshow(picture.image, extent=(0, width, height, 0))
        axis.imshow(picture.image, extent=(width, 2 * width, height, 0))
        axis.imshow(picture.activations, extent=(width, 2 * width, height, 0), cmap="jet", alpha=0.45)
        found = [] if picture.box is None else [picture.box]
        for colour, boxes in (("lime", picture.truth.tolist()), ("red", found)):
            for x1, y1, x2, y2 in boxes:
                for shift in (0, width):
                    outline(axis, (x1 + shift, y1, x2 + shift, y2), color=colour, linewidth=1.5)
        axis.set_xlim(0, 2 * width)
        axis.set_ylim(height, 0)
        axis.set_title(picture.title, fontsize=8)
    for axis in axes:
        axis.set_axis_off()
    return to_png(figure)


def evenly_spaced(count: int, wanted: int) -> list[int]:
    """Indices of ``wanted`` items, spaced evenly among ``count``; all of them if there are fewer.

    Example::

        >>> evenly_spaced(count=10, wanted=3)
        [0, 3, 6]
    """
    shown = min(count, wanted)
    return [number * count // shown for number in range(shown)]


def outline(axis: Any, box: Sequence[float], **style: Any) -> None:
    """Draw the outline of a box x1, y1, x2, y2."""
    x1, y1, x2, y2 = box
    axis.plot([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1], **style)


def grid(rows: int, columns: int, width: float = 4, height: float = 2.6) -> tuple[Any, Any]:
    """Make a figure and its axes, row by row; ``width`` and ``height`` are the size of one of them in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False).ravel()


def to_png(figure: Any) -> bytes:
    """The content of a PNG file. Its texts are shown as they are: a ``$`` in a name begins no formula."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()

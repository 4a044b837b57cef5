"""Output of runs and evaluators for people: figures as PNG, rows as CSV, a description of machine and versions.

matplotlib is imported when the first figure is drawn, not with this package.
"""

from train.reporting.csv_rows import to_csv
from train.reporting.environment import machine, versions
from train.reporting.figures import (
    Overlay,
    curves,
    evenly_spaced,
    grid,
    histogram,
    learning_curves,
    outline,
    overlays,
    to_png,
)

__all__ = [
    "Overlay",
    "curves",
    "evenly_spaced",
    "grid",
    "histogram",
    "learning_curves",
    "machine",
    "outline",
    "overlays",
    "to_csv",
    "to_png",
    "versions",
]

"""What a run or an evaluator writes for people: figures, CSV, the machine and its versions."""

from train.reporting.csv_rows import to_csv
from train.reporting.environment import machine, versions
from train.reporting.figures import Overlay, curves, grid, histogram, learning_curves, outline, overlays, spread, to_png

__all__ = [
    "Overlay",
    "curves",
    "grid",
    "histogram",
    "learning_curves",
    "machine",
    "outline",
    "overlays",
    "spread",
    "to_csv",
    "to_png",
    "versions",
]

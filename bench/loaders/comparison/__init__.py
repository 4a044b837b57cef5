"""The comparison of loaders: all are started, then measured in turn, round by round, within a time limit.

::

    Settings ─┐
    Contender ┼─▶ measure_in_rounds ─▶ a row for each loader ─▶ stage_costs: differences between rows
    TimeBudget┘

``bench loaders`` compares different loaders, ``bench tune`` this library's loader with different arguments.
"""

from bench.loaders.comparison.budget import TimeBudget
from bench.loaders.comparison.rounds import each_round, measure_in_rounds
from bench.loaders.comparison.rows import FAILED, add_ratios
from bench.loaders.comparison.settings import settings_for, shared_settings
from bench.loaders.comparison.stages import STAGES, WHOLE_IMAGES_ON_GPU, stage_costs

__all__ = [
    "FAILED",
    "STAGES",
    "WHOLE_IMAGES_ON_GPU",
    "TimeBudget",
    "add_ratios",
    "each_round",
    "measure_in_rounds",
    "settings_for",
    "shared_settings",
    "stage_costs",
]

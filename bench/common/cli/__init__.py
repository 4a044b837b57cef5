"""The command line of a benchmark: checks of options, lines that several commands print, and the result as JSON.

A command checks its options, opens the images, measures, and adds its measurements to ``new_result(...)``, which it
writes with ``write_json``.
"""

from bench.common.cli.arguments import (
    check_minimum,
    check_minutes,
    check_seconds,
    check_silence,
    choose_device,
    open_enough_photos,
    usable_cores,
)
from bench.common.cli.console import headline, warn_of_disturbance
from bench.common.cli.result import new_result, write_json

__all__ = [
    "check_minimum",
    "check_minutes",
    "check_seconds",
    "check_silence",
    "choose_device",
    "headline",
    "new_result",
    "open_enough_photos",
    "usable_cores",
    "warn_of_disturbance",
    "write_json",
]

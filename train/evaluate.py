"""The command ``python -m train.evaluate [NAME] CHECKPOINT``; without a name, it measures top-1, top-5 and loss."""

from __future__ import annotations

import importlib
import sys

from train.interrupts import interrupts_end_process

with interrupts_end_process():
    from dali_cutmix.utils import exit_with

MODULES = {
    "eval": "train.evaluation.accuracy",
    "robustness": "train.evaluation.robustness",
    "uncertainty": "train.evaluation.uncertainty",
    "localization": "train.evaluation.localization",
    "all": "train.evaluation.all",
    "detection": "train.evaluation.detection",
    "captioning": "train.evaluation.captioning",
}
"""Evaluators by name. Each is imported only when it is used, since each needs libraries of its own."""


def main() -> None:
    """Run the evaluator that the first argument names; ``eval`` if it names none."""
    named = sys.argv[1:2] != [] and sys.argv[1] in MODULES
    name, arguments = (sys.argv[1], sys.argv[2:]) if named else ("eval", sys.argv[1:])
    with interrupts_end_process():
        module = importlib.import_module(MODULES[name])
    module.main(arguments)


if __name__ == "__main__":
    exit_with(main)

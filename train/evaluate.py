"""The command ``python -m train.evaluate [NAME] CHECKPOINT``; without a name top-1, top-5 and loss."""

from __future__ import annotations

import importlib
import sys

MODULES = {
    "eval": "train.evaluation.accuracy",
    "robustness": "train.evaluation.robustness",
    "uncertainty": "train.evaluation.uncertainty",
    "localization": "train.evaluation.localization",
    "all": "train.evaluation.all",
    "detection": "train.evaluation.detection",
    "captioning": "train.evaluation.captioning",
}
"""Each is imported only when it is asked for, since each brings libraries of its own."""


def main() -> None:
    """The command that the first argument names, or accuracy."""
    named = sys.argv[1:2] != [] and sys.argv[1] in MODULES
    name, arguments = (sys.argv[1], sys.argv[2:]) if named else ("eval", sys.argv[1:])
    importlib.import_module(MODULES[name]).main(arguments)


if __name__ == "__main__":
    main()

"""The command ``python -m train.evaluate all CHECKPOINT``: a classifier's evaluations, one after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from train import accuracy, evaluator, localization, robustness, uncertainty
from train.boxes import find_boxes
from train.checkpoint import Checkpoint
from train.config import Config
from train.data import evaluated_folder
from train.distributed import Ranks
from train.evaluator import Evaluator

EVALUATORS: dict[str, Evaluator[Any, Any]] = {
    module.EVALUATOR.name: module.EVALUATOR for module in (accuracy, robustness, uncertainty, localization)
}


@dataclass(frozen=True)
class All(robustness.Options, uncertainty.Options, localization.Options):
    """Make several evaluations one after the other, each into files of its own."""

    only: tuple[Literal["eval", "robustness", "uncertainty", "localization"], ...] = ()
    """Which; if not given all, localization where there are boxes."""


def evaluate_all(options: All, ranks: Ranks) -> None:
    """Make the evaluations that are asked for.

    Raises:
        ValueError, OSError, DecodeError: one cannot be made; those before it are written.
    """
    names: tuple[str, ...] = options.only
    if not names:
        config = Config.from_dict(Checkpoint.load(options.checkpoint).config)
        boxes = options.boxes or find_boxes(evaluated_folder(options.data, config.data))
        names = tuple(name for name in EVALUATORS if name != "localization" or boxes)
    for name in names:
        output = options.output and options.output.with_name(f"{options.output.name}.{name}")
        EVALUATORS[name].run(replace(options, output=output), ranks)


def main(arguments: list[str]) -> None:
    """The command."""
    evaluator.command("all", All, evaluate_all, arguments)

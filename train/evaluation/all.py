"""The command ``python -m train.evaluate all CHECKPOINT``: a classifier's evaluations, one after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from train.config import Config
from train.data import evaluation_folder, read_boxed
from train.engine import Ranks, find_checkpoint
from train.evaluation import accuracy, evaluator, localization, robustness, uncertainty
from train.evaluation.evaluator import Evaluator
from train.evaluation.preconditions import localization_problem
from train.evaluation.trained_model import read_task

EVALUATORS: dict[str, Evaluator[Any, Any]] = {
    module.EVALUATOR.name: module.EVALUATOR for module in (accuracy, robustness, uncertainty, localization)
}


@dataclass(frozen=True)
class AllOptions(robustness.RobustnessOptions, uncertainty.UncertaintyOptions, localization.LocalizationOptions):
    """Make several evaluations one after the other, each into files of its own."""

    only: tuple[Literal["eval", "robustness", "uncertainty", "localization"], ...] = ()
    """Which; if not given all, localization where there are boxes and the model has class activation maps."""


def evaluate_all(options: AllOptions, ranks: Ranks) -> None:
    """Make the evaluations that are asked for; what each takes is looked at before the first.

    Raises:
        ValueError, OSError, DecodeError: one cannot be made; those before it are written.
    """
    _, config = read_task(find_checkpoint(options.checkpoint), Config, "classifier")
    names: tuple[str, ...] = options.only or tuple(EVALUATORS)
    if "uncertainty" in names:
        uncertainty.list_ood_images(options, ranks)
    if "localization" in names:
        folder = evaluation_folder(options.data, config.data)
        why = localization_problem(folder, options.boxes, config)
        if why and not options.only:
            names = tuple(name for name in names if name != "localization")
            if ranks.is_first:
                print(f"no localization: {why}")
        else:
            read_boxed(folder, options.boxes)  # tells what is missing in its own words
            if why:
                raise ValueError(why)
    for name in names:
        output = options.output and options.output.with_name(f"{options.output.name}.{name}")
        EVALUATORS[name].run(replace(options, output=output), ranks)


def main(arguments: list[str]) -> None:
    """The command."""
    evaluator.command("all", AllOptions, evaluate_all, arguments)

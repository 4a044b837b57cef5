"""The command ``python -m train.evaluate all CHECKPOINT``: several evaluations of a classifier, one after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from dali_cutmix.utils import printable
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
    """Run several evaluations one after the other; each writes its own files."""

    only: tuple[Literal["eval", "robustness", "uncertainty", "localization"], ...] = ()
    """Evaluations to run; if not given, all that are possible: localization needs boxes and a model with class
    activation maps."""


def evaluate_all(options: AllOptions, ranks: Ranks) -> None:
    """Run the selected evaluations; the data of all of them are checked before the first one begins.

    Raises:
        ValueError, OSError, DecodeError: an evaluation is impossible; the files of those before it are written.
    """
    _, config = read_task(find_checkpoint(options.checkpoint), Config, "classifier")
    names: tuple[str, ...] = options.only or tuple(EVALUATORS)
    if "uncertainty" in names:
        uncertainty.list_ood_images(options, ranks)
    if "localization" in names:
        folder = evaluation_folder(options.data, config.data)
        problem = localization_problem(folder, options.boxes, config)
        if problem and not options.only:
            names = tuple(name for name in names if name != "localization")
            if ranks.is_first:
                print(f"no localization: {printable(problem)}")
        else:
            read_boxed(folder, options.boxes)  # raises its own error if there are no boxes
            if problem:
                raise ValueError(problem)
    for name in names:
        output = options.output and options.output.with_name(f"{options.output.name}.{name}")
        EVALUATORS[name].run(replace(options, output=output), ranks)


def main(arguments: list[str]) -> None:
    """Run the command with these arguments."""
    evaluator.command("all", AllOptions, evaluate_all, arguments)

"""Evaluators of a trained model: accuracy, robustness, uncertainty, localization, detection, captioning."""

from train.evaluation.localization import why_not
from train.evaluation.uncertainty import parse_sets

__all__ = ["parse_sets", "why_not"]

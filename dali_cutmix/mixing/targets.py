"""Targets of a mixed batch: λ·y + (1−λ)·y_partner, dense or as pairs."""

from typing import Literal

import numpy as np

from dali_cutmix.mixing.plan import Plan

Targets = Literal["dense", "pairs"]
"""Form of the targets: ``"dense"``, N×K, or ``"pairs"``, labels N×2 and λ N."""


def dense_targets(labels: np.ndarray, plan: Plan, num_classes: int) -> tuple[np.ndarray]:
    """One row for each sample, N×K float32; rows sum to 1, also where both labels are the same."""
    rows = np.arange(len(labels))
    targets = np.zeros((len(labels), num_classes), np.float32)
    targets[rows, labels] = plan.lam
    targets[rows, labels[plan.partner]] += 1 - plan.lam
    return (targets,)


def pair_targets(labels: np.ndarray, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Own label and partner's, N×2 int64; λ, N float32."""
    return np.stack([labels, labels[plan.partner]], axis=1), plan.lam


def make_targets(labels: np.ndarray, plan: Plan, targets: Targets, num_classes: int) -> tuple[np.ndarray, ...]:
    """Make the targets of a batch in the given form.

    Raises:
        ValueError: a label is not among the classes.
    """
    if labels.min() < 0 or labels.max() >= num_classes:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(f"label {wrong} read with num_classes={num_classes}; labels are 0 to {num_classes - 1}.")
    return dense_targets(labels, plan, num_classes) if targets == "dense" else pair_targets(labels, plan)

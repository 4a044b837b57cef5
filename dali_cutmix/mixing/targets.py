"""Targets by plan: λ·y + (1−λ)·y_partner, dense or as pairs."""

from typing import Literal, get_args

import numpy as np

from dali_cutmix.mixing.plan import Plan

Targets = Literal["dense", "pairs"]


def check_targets(targets: str) -> None:
    """Refuse whatever is no form of targets."""
    if targets not in get_args(Targets):
        raise ValueError(f"targets={targets!r} given; allowed are 'dense' (N×K) and 'pairs' (labels N×2, λ N).")


def dense(labels: np.ndarray, plan: Plan, num_classes: int) -> tuple[np.ndarray]:
    """N×K float32; rows sum to 1, also where both labels are the same."""
    rows = np.arange(len(labels))
    targets = np.zeros((len(labels), num_classes), np.float32)
    targets[rows, labels] = plan.lam
    targets[rows, labels[plan.partner]] += 1 - plan.lam
    return (targets,)


def pairs(labels: np.ndarray, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """N×2 int64, own label and partner's; N float32, λ."""
    return np.stack([labels, labels[plan.partner]], axis=1), plan.lam


def share(labels: np.ndarray, plan: Plan, targets: Targets, num_classes: int) -> tuple[np.ndarray, ...]:
    """The targets of a batch in the form that was asked for.

    Raises:
        ValueError: a label is not among the classes.
    """
    if labels.min() < 0 or labels.max() >= num_classes:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(f"label {wrong} read with num_classes={num_classes}; labels are 0 to {num_classes - 1}.")
    return dense(labels, plan, num_classes) if targets == "dense" else pairs(labels, plan)

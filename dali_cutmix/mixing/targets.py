"""Targets of a mixed batch: λ·y + (1−λ)·y_partner, dense or as pairs."""

from typing import Literal

import numpy as np

from dali_cutmix.mixing.labels import check_dense_form, check_labels
from dali_cutmix.mixing.plan import Plan

Targets = Literal["dense", "pairs"]
"""Form of the targets: ``"dense"``, N×K, or ``"pairs"``, labels N×2 and λ N."""


def dense_targets(labels: np.ndarray, plan: Plan, num_classes: int) -> tuple[np.ndarray]:
    """Targets of class labels, N×K float32; rows sum to 1, also where both labels are the same."""
    rows = np.arange(len(labels))
    targets = np.zeros((len(labels), num_classes), np.float32)
    targets[rows, labels] = plan.lam
    targets[rows, labels[plan.partner]] += 1 - plan.lam
    return (targets,)


def blended_targets(labels: np.ndarray, plan: Plan) -> tuple[np.ndarray]:
    """Targets of dense labels, N×K float32: of one-hot labels the same, to the bit, as of the class labels."""
    lam = plan.lam[:, None]
    return (lam * labels + (1 - lam) * labels[plan.partner],)


def pair_targets(labels: np.ndarray, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Own label and partner's, N×2 int64; λ, N float32."""
    return np.stack([labels, labels[plan.partner]], axis=1), plan.lam


def make_targets(labels: np.ndarray, plan: Plan, targets: Targets, num_classes: int) -> tuple[np.ndarray, ...]:
    """Make the targets of a batch in the given form.

    Args:
        labels: class labels, N or N×1, or dense labels, N×K; see :mod:`dali_cutmix.mixing.labels`.
        plan: of the batch.
        targets: their form.
        num_classes: K.

    Raises:
        ValueError: labels of another form, a label that is not among the classes, or pairs of dense labels.
    """
    labels = check_labels(labels, num_classes)
    is_dense = labels.ndim == 2
    if is_dense:
        check_dense_form(num_classes, num_classes, targets == "pairs")
    if targets == "pairs":
        return pair_targets(labels, plan)
    return blended_targets(labels, plan) if is_dense else dense_targets(labels, plan, num_classes)

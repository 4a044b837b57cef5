"""Out-of-distribution detection by one score (paper, E.2): how well a threshold tells two sets apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import auc, roc_curve


@dataclass(frozen=True)
class Detection:
    """Of a detector that takes samples above a threshold as in-distribution; percent."""

    tnr95: float
    """True negative rate at the threshold whose true positive rate is nearest to 95 %."""
    auroc: float
    """Area under the curve of true over false positive rate (trapezoidal)."""
    accuracy: float
    """Detection accuracy: the most that ½ (TPR + TNR) is at any threshold."""


def detection(inside: np.ndarray, outside: np.ndarray) -> Detection:
    """Compare the scores of two sets, in-distribution being the positive one.

    Args:
        inside: scores of in-distribution samples, N.
        outside: of out-of-distribution samples, M.

    Raises:
        ValueError: a set is empty, or a score is not a number.
    """
    for name, scores in {"in-distribution": inside, "out-of-distribution": outside}.items():
        if not len(scores):
            raise ValueError(f"the {name} set is empty; give one with images.")
        if not np.isfinite(scores).all():
            raise ValueError(f"{int((~np.isfinite(scores)).sum())} scores of the {name} set are not numbers.")
    positive = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    false, true, _ = roc_curve(positive, np.r_[inside, outside], drop_intermediate=False)
    return Detection(
        tnr95=100 * (1 - false[np.abs(true - 0.95).argmin()]),
        auroc=100 * auc(false, true),
        accuracy=100 * ((true + 1 - false) / 2).max(),
    )

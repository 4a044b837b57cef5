"""Cross entropy for mixed targets, dense or as pairs; the two are equal."""

import torch
from torch import Tensor
from torch.nn import functional as F


def soft_cross_entropy(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross entropy with dense soft targets: −Σ target · log softmax(logits).

    Args:
        logits: N×K, float.
        targets: N×K, float, rows that sum to 1 (``targets="dense"``).
        label_smoothing: share of the target that is spread evenly over all classes, 0 to 1.

    Returns:
        A scalar, equal to ``torch.nn.functional.cross_entropy`` with class probabilities.
    """
    if logits.shape != targets.shape:
        raise ValueError(
            f"soft_cross_entropy: logits are {tuple(logits.shape)} and targets {tuple(targets.shape)}; both must be "
            "N×K. For targets='pairs' use pair_cross_entropy."
        )
    return F.cross_entropy(logits, targets.to(logits.dtype), label_smoothing=label_smoothing)


def pair_cross_entropy(logits: Tensor, labels: Tensor, lam: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross entropy with targets as pairs: λ · CE(logits, y) + (1 − λ) · CE(logits, y_partner).

    Equal to :func:`soft_cross_entropy` on the dense targets, without their N×K memory.

    Args:
        logits: N×K, float.
        labels: N×2, int64: the sample's own label and its partner's.
        lam: N, float: the share of the sample's own label.
        label_smoothing: share of the target that is spread evenly over all classes, 0 to 1.
    """
    if labels.shape != (*logits.shape[:1], 2) or lam.shape != logits.shape[:1]:
        raise ValueError(
            f"pair_cross_entropy: logits are {tuple(logits.shape)}, labels {tuple(labels.shape)} and lam "
            f"{tuple(lam.shape)}; needed are N×K, N×2 and N. For dense targets use soft_cross_entropy."
        )
    log_probabilities = F.log_softmax(logits, dim=1)
    own, partner = log_probabilities.gather(1, labels).unbind(1)
    lam = lam.to(logits.dtype)
    hard = -(lam * own + (1 - lam) * partner)
    return torch.mean((1 - label_smoothing) * hard - label_smoothing * log_probabilities.mean(1))

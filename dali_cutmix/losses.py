"""Cross entropy for mixed targets, dense or as pairs; both give the same loss."""

import torch
from torch import Tensor
from torch.nn import functional as F


def soft_cross_entropy(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross entropy with dense soft targets: −Σ target · log softmax(logits).

    Args:
        logits: N×K, float.
        targets: N×K, float, rows that sum to 1 (``targets="dense"``).
        label_smoothing: fraction of the target that is spread evenly over all classes, 0 to 1.

    Returns:
        A scalar, equal to ``torch.nn.functional.cross_entropy`` with class probabilities.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0, 0.0]])
        >>> targets = torch.tensor([[0.75, 0.0, 0.25]])
        >>> round(dc.soft_cross_entropy(logits, targets).item(), 4)
        0.7395
    """
    if logits.shape != targets.shape:
        raise ValueError(
            f"soft_cross_entropy: logits are {tuple(logits.shape)} and targets {tuple(targets.shape)}; expected "
            "N×K for both. For targets='pairs' use pair_cross_entropy."
        )
    return F.cross_entropy(logits, targets.to(logits.dtype), label_smoothing=label_smoothing)


def pair_cross_entropy(logits: Tensor, labels: Tensor, lam: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross entropy with targets as pairs: λ · CE(logits, y) + (1 − λ) · CE(logits, y_partner).

    Equal to :func:`soft_cross_entropy` on the dense targets, without their N×K memory.

    Args:
        logits: N×K, float.
        labels: N×2, int64: the sample's own label and its partner's.
        lam: N, float: the weight of the sample's own label.
        label_smoothing: fraction of the target that is spread evenly over all classes, 0 to 1.

    Returns:
        A scalar.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0, 0.0]])
        >>> labels, lam = torch.tensor([[0, 2]]), torch.tensor([0.75])  # 0.75 of class 0, 0.25 of class 2
        >>> round(dc.pair_cross_entropy(logits, labels, lam).item(), 4)
        0.7395
    """
    if labels.shape != (*logits.shape[:1], 2) or lam.shape != logits.shape[:1]:
        raise ValueError(
            f"pair_cross_entropy: logits are {tuple(logits.shape)}, labels {tuple(labels.shape)} and lam "
            f"{tuple(lam.shape)}; expected N×K, N×2 and N. For dense targets use soft_cross_entropy."
        )
    log_probabilities = F.log_softmax(logits, dim=1)
    own, partner = log_probabilities.gather(1, labels).unbind(1)
    lam = lam.to(logits.dtype)
    hard = -(lam * own + (1 - lam) * partner)
    return torch.mean((1 - label_smoothing) * hard - label_smoothing * log_probabilities.mean(1))

"""Losses for mixed targets, dense or as pairs; both give the same loss.

    targets                        one class is right         each class on its own (multi-label)
    dense, N×K                     soft_cross_entropy         soft_binary_cross_entropy
    pairs, labels N×2 and λ N      pair_cross_entropy         pair_binary_cross_entropy

None of them reads a value of a tensor, so none waits for a GPU.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from dali_cutmix.utils import check_choice, check_fraction

Reduction = Literal["mean", "sum", "none"]


def soft_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    label_smoothing: float = 0.0,
    *,
    weight: Tensor | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Cross entropy with dense soft targets: −Σ target · log softmax(logits).

    Args:
        logits: N×K, float.
        targets: N×K, rows that sum to 1 (``targets="dense"``).
        label_smoothing: fraction of the target that is spread evenly over all classes, 0 to 1.
        weight: K, a factor for each class.
        reduction: ``"mean"`` over the samples, ``"sum"``, or ``"none"`` for the N losses.

    Returns:
        What ``torch.nn.functional.cross_entropy`` gives with class probabilities: a scalar, or N with ``"none"``.

    Raises:
        ValueError: the shapes do not fit, or another argument is invalid.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0, 0.0]])
        >>> targets = torch.tensor([[0.75, 0.0, 0.25]])
        >>> round(dc.soft_cross_entropy(logits, targets).item(), 4)
        0.7395
    """
    _check_dense("soft_cross_entropy", "pair_cross_entropy", logits, targets)
    _check_options("soft_cross_entropy", logits, label_smoothing, reduction, weight=weight)
    return F.cross_entropy(
        logits, targets.to(logits.dtype), _as(weight, logits), reduction=reduction, label_smoothing=label_smoothing
    )


def pair_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    lam: Tensor,
    label_smoothing: float = 0.0,
    *,
    weight: Tensor | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Cross entropy with targets as pairs: λ · CE(logits, y) + (1 − λ) · CE(logits, y_partner).

    Equal to :func:`soft_cross_entropy` on the dense targets, without their N×K memory.

    Args:
        logits: N×K, float.
        labels: N×2, whole numbers: the sample's own label and its partner's.
        lam: N, float: the weight of the sample's own label.
        label_smoothing, weight, reduction: see :func:`soft_cross_entropy`.

    Returns:
        A scalar, or N losses with ``reduction="none"``.

    Raises:
        ValueError: the shapes or types do not fit, or another argument is invalid.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0, 0.0]])
        >>> labels, lam = torch.tensor([[0, 2]]), torch.tensor([0.75])  # 0.75 of class 0, 0.25 of class 2
        >>> round(dc.pair_cross_entropy(logits, labels, lam).item(), 4)
        0.7395
    """
    _check_pairs("pair_cross_entropy", "soft_cross_entropy", logits, labels, lam)
    _check_options("pair_cross_entropy", logits, label_smoothing, reduction, weight=weight)
    log_probabilities = F.log_softmax(logits, dim=1)
    factors = _as(weight, logits)
    if factors is not None:
        log_probabilities = log_probabilities * factors
    own, partner = log_probabilities.gather(1, labels.long()).unbind(1)
    lam = lam.to(logits.dtype)
    losses = -(lam * own + (1 - lam) * partner)
    if label_smoothing:
        losses = (1 - label_smoothing) * losses - label_smoothing * log_probabilities.mean(1)
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.mean()


def soft_binary_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    *,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Binary cross entropy with dense soft targets, each class on its own: for multi-label data.

    Args:
        logits: N×K, float.
        targets: N×K, 0 to 1 (``targets="dense"``); rows need not sum to 1.
        weight: K, a factor for each class.
        pos_weight: K, a factor for each class where it is present; above 1 it raises the recall of rare classes.
        reduction: ``"mean"`` over samples and classes, ``"sum"``, or ``"none"`` for the N×K losses.

    Returns:
        What ``torch.nn.functional.binary_cross_entropy_with_logits`` gives: a scalar, or N×K with ``"none"``.

    Raises:
        ValueError: the shapes do not fit, or another argument is invalid.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0, -2.0]])
        >>> targets = torch.tensor([[1.0, 0.75, 0.0]])  # of two samples with classes 0 1 and 0
        >>> round(dc.soft_binary_cross_entropy(logits, targets).item(), 4)
        0.3157
    """
    _check_dense("soft_binary_cross_entropy", "pair_binary_cross_entropy", logits, targets)
    _check_options("soft_binary_cross_entropy", logits, 0.0, reduction, weight=weight, pos_weight=pos_weight)
    return F.binary_cross_entropy_with_logits(
        logits,
        targets.to(logits.dtype),
        _as(weight, logits),
        reduction=reduction,
        pos_weight=_as(pos_weight, logits),
    )


def pair_binary_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    lam: Tensor,
    label_smoothing: float = 0.0,
    *,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Binary cross entropy with targets as pairs, each class on its own (timm's ``--bce-loss``).

    Equal to :func:`soft_binary_cross_entropy` on the dense targets.

    Args:
        logits, labels, lam: see :func:`pair_cross_entropy`.
        label_smoothing: fraction of the target that is spread evenly over all classes, as in timm; 0 to 1.
        weight, pos_weight, reduction: see :func:`soft_binary_cross_entropy`.

    Returns:
        A scalar, or N×K losses with ``reduction="none"``.

    Raises:
        ValueError: the shapes or types do not fit, or another argument is invalid.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0, -2.0]])
        >>> labels, lam = torch.tensor([[0, 2]]), torch.tensor([0.75])  # 0.75 of class 0, 0.25 of class 2
        >>> round(dc.pair_binary_cross_entropy(logits, labels, lam).item(), 4)
        0.649
    """
    _check_pairs("pair_binary_cross_entropy", "soft_binary_cross_entropy", logits, labels, lam)
    _check_options(
        "pair_binary_cross_entropy", logits, label_smoothing, reduction, weight=weight, pos_weight=pos_weight
    )
    lam = lam.to(logits.dtype)
    targets = torch.zeros_like(logits).scatter_add(1, labels.long(), torch.stack([lam, 1 - lam], 1))
    targets = (1 - label_smoothing) * targets + label_smoothing / logits.shape[1]
    return soft_binary_cross_entropy(logits, targets, weight=weight, pos_weight=pos_weight, reduction=reduction)


def _as(weight: Tensor | None, logits: Tensor) -> Tensor | None:
    return None if weight is None else weight.to(logits.dtype)


def _check_dense(loss: str, other: str, logits: Tensor, targets: Tensor) -> None:
    if logits.shape != targets.shape:
        raise ValueError(
            f"{loss}: logits are {tuple(logits.shape)} and targets {tuple(targets.shape)}; expected N×K for both. For "
            f"targets='pairs' use {other}."
        )


def _check_pairs(loss: str, other: str, logits: Tensor, labels: Tensor, lam: Tensor) -> None:
    if labels.shape != (*logits.shape[:1], 2) or lam.shape != logits.shape[:1]:
        raise ValueError(
            f"{loss}: logits are {tuple(logits.shape)}, labels {tuple(labels.shape)} and lam {tuple(lam.shape)}; "
            f"expected N×K, N×2 and N. For dense targets use {other}."
        )
    if labels.is_floating_point() or labels.dtype == torch.bool or not lam.is_floating_point():
        raise ValueError(
            f"{loss}: labels are {labels.dtype} and lam {lam.dtype}; expected whole numbers and floating point, as "
            "targets='pairs' gives them."
        )


def _check_options(loss: str, logits: Tensor, label_smoothing: float, reduction: str, **weights: Tensor | None) -> None:
    check_fraction("label_smoothing", label_smoothing, "the fraction of the target that is spread over all classes")
    check_choice("reduction", reduction, ("mean", "sum", "none"))
    for name, weight in weights.items():
        if weight is not None and not isinstance(weight, Tensor):
            raise ValueError(
                f"{loss}: {name}={weight!r} given; expected a tensor with one factor for each class. Make one, on the "
                "device of the logits."
            )
        if weight is not None and weight.shape != logits.shape[1:]:
            raise ValueError(
                f"{loss}: {name} of shape {tuple(weight.shape)} given; expected one factor for each class, "
                f"{tuple(logits.shape[1:])}. To weight samples use reduction='none'."
            )

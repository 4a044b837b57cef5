"""Out-of-distribution detection by confidence (paper, E.2; Hendrycks and Gimpel, 2017): scores, noise images, metrics.

::

    images ── confidences ──▶ scores of each set ── ood_metrics ──▶ TNR at TPR 95 %, AUROC, detection accuracy
    noise  ──────┘
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

import dali_cutmix as dc
from dali_cutmix.utils import check_levels
from train.engine import Ranks

NOISES = ("uniform", "gaussian")
"""Kinds of `noise`."""


@torch.inference_mode()
def confidences(model: nn.Module, batches: Iterable[Tensor], ranks: Ranks, amp: bool = False) -> Tensor:
    """Compute the maximum softmax probability of each image, over all processes; N float64, on the CPU.

    Args:
        model: a classifier in evaluation mode.
        batches: batches of this process, N×3×H×W each; empty ones are skipped.
        ranks: this process among all.
        amp: compute in bfloat16 where that is safe; the softmax is always computed in float64.
    """
    found = []
    for images in batches:
        if len(images):
            with torch.autocast(ranks.device.type, torch.bfloat16, enabled=amp):
                logits = model(images)
            found.append(logits.double().softmax(dim=1).amax(dim=1))
    mine = torch.cat(found).cpu() if found else torch.empty(0, dtype=torch.float64)
    return torch.cat(ranks.gather(mine))


def noise(
    kind: str,
    count: int,
    size: int,
    batch_size: int,
    ranks: Ranks,
    seed: int = 0,
    mean: tuple[float, ...] = dc.IMAGENET_MEAN,
    std: tuple[float, ...] = dc.IMAGENET_STD,
) -> Iterator[Tensor]:
    """Generate batches of noise images, normalized like photographs: rand, or clamp(randn + 0.5, 0, 1).

    The images do not depend on the batch size or the number of processes, among which the batches are dealt out.

    Args:
        kind: one of ``NOISES``.
        count: number of images over all processes.
        size: side of the images, in pixels.
        batch_size: images per batch.
        ranks: this process among all.
        seed: seed of the noise.
        mean: mean of the normalization, 0 to 255.
        std: standard deviation of the normalization, 0 to 255.
    """
    m, s = (torch.tensor(levels).view(-1, 1, 1) / 255 for levels in check_levels(mean, std))
    for number, first in enumerate(range(0, count, batch_size)):
        if number % ranks.world_size == ranks.rank:
            images = range(first, min(first + batch_size, count))
            pixels = torch.stack([_pixels(kind, size, 1_000_003 * seed + image) for image in images])
            yield ((pixels - m) / s).to(ranks.device)


def _pixels(kind: str, size: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    if kind == "uniform":
        return torch.rand(3, size, size, generator=generator)
    return (torch.randn(3, size, size, generator=generator) + 0.5).clamp_(0, 1)


@dataclass(frozen=True)
class OodMetrics:
    """Metrics of a detector that classifies samples with scores above a threshold as in-distribution, in percent."""

    tnr95: float
    """True negative rate at the threshold whose true positive rate is nearest to 95 %."""
    auroc: float
    """Area under the curve of true over false positive rate (trapezoidal)."""
    accuracy: float
    """Detection accuracy: the maximum of ½ (TPR + TNR) over all thresholds."""


def ood_metrics(inside: np.ndarray, outside: np.ndarray) -> OodMetrics:
    """Compare the scores of two sets; in-distribution is the positive class.

    Example::

        >>> metrics = ood_metrics(np.array([0.9, 0.8, 0.7]), np.array([0.2, 0.1]))
        >>> float(metrics.auroc)
        100.0

    Args:
        inside: scores of the in-distribution samples, N.
        outside: scores of the out-of-distribution samples, M.

    Raises:
        ValueError: a set is empty, or a score is NaN or infinite.
    """
    from sklearn.metrics import auc, roc_curve  # takes a second; only this function needs it

    for name, scores in {"in-distribution": inside, "out-of-distribution": outside}.items():
        if not len(scores):
            raise ValueError(f"the {name} set is empty; give one with images.")
        if not np.isfinite(scores).all():
            raise ValueError(
                f"{int((~np.isfinite(scores)).sum())} scores of the {name} set are not numbers; give a model whose "
                "outputs are finite."
            )
    positive = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    false, true, _ = roc_curve(positive, np.r_[inside, outside], drop_intermediate=False)
    return OodMetrics(
        tnr95=100 * (1 - false[np.abs(true - 0.95).argmin()]),
        auroc=100 * auc(false, true),
        accuracy=100 * ((true + 1 - false) / 2).max(),
    )

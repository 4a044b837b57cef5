"""Confidence: the maximum softmax probability of a model (paper, E.2; Hendrycks and Gimpel 2017), and noise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

import dali_cutmix as dc
from train.engine import Ranks

NOISES = ("uniform", "gaussian")


@torch.inference_mode()
def confidences(model: nn.Module, batches: Iterable[Tensor], ranks: Ranks, amp: bool = False) -> Tensor:
    """Maximum softmax probability of every image over all processes; N float64, on the CPU.

    Args:
        model: in evaluation mode.
        batches: N×3×H×W each, of this process; empty ones are passed over.
        amp: compute in bfloat16 where that is safe; the softmax is in float64 all the same.
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
    """Images of noise, normalized as photographs are: uniform, rand; gaussian, clamp(randn + 0.5, 0, 1).

    The same images for any batch size and any number of processes, each of which gets every so many-th batch.

    Args:
        kind: one of ``NOISES``.
        count: images over all processes.
        size: side in pixels.
        batch_size: of this process.
        mean, std: of the normalization, in levels of 255.
    """
    m, s = (torch.tensor(levels).view(3, 1, 1) / 255 for levels in (mean, std))
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
    """Of a detector that takes samples above a threshold as in-distribution; percent."""

    tnr95: float
    """True negative rate at the threshold whose true positive rate is nearest to 95 %."""
    auroc: float
    """Area under the curve of true over false positive rate (trapezoidal)."""
    accuracy: float
    """Detection accuracy: the most that ½ (TPR + TNR) is at any threshold."""


def ood_metrics(inside: np.ndarray, outside: np.ndarray) -> OodMetrics:
    """Compare the scores of two sets, in-distribution being the positive one.

    Args:
        inside: scores of in-distribution samples, N.
        outside: of out-of-distribution samples, M.

    Raises:
        ValueError: a set is empty, or a score is not a number.
    """
    from sklearn.metrics import auc, roc_curve  # takes a second; only this function needs it

    for name, scores in {"in-distribution": inside, "out-of-distribution": outside}.items():
        if not len(scores):
            raise ValueError(f"the {name} set is empty; give one with images.")
        if not np.isfinite(scores).all():
            raise ValueError(f"{int((~np.isfinite(scores)).sum())} scores of the {name} set are not numbers.")
    positive = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    false, true, _ = roc_curve(positive, np.r_[inside, outside], drop_intermediate=False)
    return OodMetrics(
        tnr95=100 * (1 - false[np.abs(true - 0.95).argmin()]),
        auroc=100 * auc(false, true),
        accuracy=100 * ((true + 1 - false) / 2).max(),
    )

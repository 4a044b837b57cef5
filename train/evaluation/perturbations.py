"""Perturbations of normalized images (paper, E.1): FGSM, occlusion, samples in between two others.

All take and give N×3×H×W on their device, normalized.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import dali_cutmix as dc

Levels = tuple[float, ...]


def gradient_sign(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """sign(∇ₓ L) with L the cross entropy of the true labels (equation 1)."""
    images = images.detach().requires_grad_()
    with torch.enable_grad():
        loss = nn.functional.cross_entropy(model(images).float(), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, images)
    return gradient.sign()


def fgsm(
    images: Tensor, signs: Tensor, epsilon: float, mean: Levels = dc.IMAGENET_MEAN, std: Levels = dc.IMAGENET_STD
) -> Tensor:
    """x + ε·sign(∇ₓ L), clipped to valid pixels (equation 1).

    Args:
        images: normalized.
        signs: see :func:`gradient_sign`.
        epsilon: in pixels from 0 to 1, before normalization.
        mean, std: of the normalization, in levels of 255.
    """
    m, s = (torch.tensor(level, device=images.device, dtype=images.dtype).view(3, 1, 1) for level in (mean, std))
    moved = images + 255 * epsilon / s * signs
    return torch.minimum(torch.maximum(moved, -m / s), (255 - m) / s)


def hole(images: Tensor, side: int) -> Tensor:
    """A centred square, H×W bool; ``side`` pixels, all of the image where that is not larger."""
    height, width = images.shape[-2:]
    inside = torch.zeros(height, width, dtype=torch.bool, device=images.device)
    top, left = (max(0, (length - side) // 2) for length in (height, width))
    inside[top : top + side, left : left + side] = True
    return inside


def occlude_centre(images: Tensor, side: int) -> Tensor:
    """Zero, after normalization, inside of a centred square."""
    return images.masked_fill(hole(images, side), 0)


def occlude_boundary(images: Tensor, side: int) -> Tensor:
    """Zero, after normalization, outside of a centred square."""
    return images.masked_fill(~hole(images, side), 0)


def between_mixup(images: Tensor, partners: Tensor, lam: float) -> Tensor:
    """λ·x + (1−λ)·partner."""
    return lam * images + (1 - lam) * partners


def between_cutmix(images: Tensor, partners: Tensor, side: int) -> Tensor:
    """The partner's pixels inside of a centred square."""
    return torch.where(hole(images, side), partners, images)

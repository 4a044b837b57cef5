"""Perturbations of normalized images (paper, E.1): FGSM, occlusion, and images in between two others.

All functions take and return normalized images, N×3×H×W, on their device.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import dali_cutmix as dc
from dali_cutmix.utils import check_levels

Levels = tuple[float, ...]
"""A value for each of red, green and blue, 0 to 255."""


def gradient_sign(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Compute sign(∇ₓ L), where L is the cross entropy with the true labels (equation 1)."""
    images = images.detach().requires_grad_()
    with torch.enable_grad():
        loss = nn.functional.cross_entropy(model(images).float(), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, images)
    return gradient.sign()


def fgsm(
    images: Tensor, signs: Tensor, epsilon: float, mean: Levels = dc.IMAGENET_MEAN, std: Levels = dc.IMAGENET_STD
) -> Tensor:
    """Compute x + ε·sign(∇ₓ L), clipped to valid pixels (equation 1).

    Args:
        images: normalized images.
        signs: see `gradient_sign`.
        epsilon: size of the perturbation, for pixels from 0 to 1, before normalization.
        mean: mean of the normalization, 0 to 255.
        std: standard deviation of the normalization, 0 to 255.
    """
    levels = check_levels(mean, std)
    m, s = (torch.tensor(level, device=images.device, dtype=images.dtype).view(-1, 1, 1) for level in levels)
    moved = images + 255 * epsilon / s * signs
    return torch.minimum(torch.maximum(moved, -m / s), (255 - m) / s)


def hole(images: Tensor, side: int) -> Tensor:
    """A mask of the centred square of ``side`` pixels, cut off at the image's border; H×W bool."""
    height, width = images.shape[-2:]
    inside = torch.zeros(height, width, dtype=torch.bool, device=images.device)
    top, left = (max(0, (length - side) // 2) for length in (height, width))
    inside[top : top + side, left : left + side] = True
    return inside


def occlude_centre(images: Tensor, side: int) -> Tensor:
    """Set the pixels inside a centred square to zero, after normalization."""
    return images.masked_fill(hole(images, side), 0)


def occlude_boundary(images: Tensor, side: int) -> Tensor:
    """Set the pixels outside a centred square to zero, after normalization."""
    return images.masked_fill(~hole(images, side), 0)


def between_mixup(images: Tensor, partners: Tensor, lam: float) -> Tensor:
    """Compute λ·x + (1−λ)·partner."""
    return lam * images + (1 - lam) * partners


def between_cutmix(images: Tensor, partners: Tensor, side: int) -> Tensor:
    """Replace the pixels inside a centred square by the partner's."""
    return torch.where(hole(images, side), partners, images)

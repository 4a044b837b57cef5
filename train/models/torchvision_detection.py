"""Adapters for torchvision's detectors: images that DALI has prepared, and boxes in float32 under autocast."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform


class PreparedImages(GeneralizedRCNNTransform):
    """A transform for images that are already resized and normalized: it only pads them with zeros to one batch.

    Args:
        divisible: the sides of the batch are multiples of this number of pixels.
    """

    def __init__(self, divisible: int = 1) -> None:
        super().__init__(min_size=1, max_size=1, image_mean=[], image_std=[], size_divisible=divisible)

    def normalize(self, image: Tensor) -> Tensor:
        """Return the image unchanged."""
        return image

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Return the image and its target unchanged."""
        return image, target


def return_float32(module: nn.Module) -> None:
    """Make a module return its tensors as float32, even under autocast.

    torchvision computes boxes in the type that a head returns. bfloat16 has eight significant bits, so at 300 pixels
    boxes would be rounded to two pixels.
    """
    module.register_forward_hook(_in_float32)


def _in_float32(_module: nn.Module, _inputs: Any, outputs: Any) -> Any:
    return _float(outputs)


def _float(value: Any) -> Any:
    """Convert tensors, alone or in tuples, lists and dictionaries."""
    match value:
        case Tensor():
            return value.float()
        case dict():
            return {name: _float(one) for name, one in value.items()}
        case _:
            return type(value)(map(_float, value))

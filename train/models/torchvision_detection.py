"""Adapters for torchvision's detectors: images that DALI has prepared, and boxes in float32 under autocast."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform


class PreparedImages(GeneralizedRCNNTransform):
    """Images come resized and normalized: they are put into one batch, with zeros around, and nothing else is done.

    Args:
        divisible: sides of the batch are multiples of it, in pixels.
    """

    def __init__(self, divisible: int = 1) -> None:
        super().__init__(min_size=1, max_size=1, image_mean=[], image_std=[], size_divisible=divisible)

    def normalize(self, image: Tensor) -> Tensor:
        """As it is."""
        return image

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        """As it is."""
        return image, target


def return_float32(module: nn.Module) -> None:
    """Have a module return its tensors as float32, also under autocast.

    torchvision computes boxes in the type of what a head returns, and bfloat16 has eight bits: at 300 pixels a box
    would be right to two of them.
    """
    module.register_forward_hook(_in_float32)


def _in_float32(_module: nn.Module, _inputs: Any, outputs: Any) -> Any:
    return _float(outputs)


def _float(value: Any) -> Any:
    """Tensors alone, or in tuples, lists and dictionaries."""
    match value:
        case Tensor():
            return value.float()
        case dict():
            return {name: _float(one) for name, one in value.items()}
        case _:
            return type(value)(map(_float, value))

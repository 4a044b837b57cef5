"""What torchvision's detectors do to images first, where DALI has done it already."""

from __future__ import annotations

from torch import Tensor
from torchvision.models.detection.transform import GeneralizedRCNNTransform


class Prepared(GeneralizedRCNNTransform):
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

"""Class activation maps of a classifier (Zhou et al., CVPR 2016; paper, B)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from train.models import classifiers


class ClassMaps:
    """A classifier that returns class activation maps together with its logits, from one forward pass.

    A map is the sum of the last feature maps, weighted by the linear layer's weights of a class. Its mean over all
    positions is the logit of the class without the bias.

    Example::

        >>> model = classifiers.build("resnet10", 10).eval()
        >>> class_maps = ClassMaps(model, size=48, device=torch.device("cpu"))
        >>> logits, maps = class_maps(torch.zeros(2, 3, 48, 48), labels=torch.tensor([3, 7]))
        >>> logits.shape, maps.shape
        (torch.Size([2, 10]), torch.Size([2, 6, 6]))

    Args:
        model: in evaluation mode, with an ``nn.AdaptiveAvgPool2d`` to 1×1 followed by one linear layer (ResNets,
            ``vgg16_gap``, ``pyramidnet200``, …).
        size: side of the images, in pixels; the relation of maps and logits is tested with images of this size.
        device: device of the model.

    Raises:
        ValueError: the model does not have this structure.
    """

    def __init__(self, model: nn.Module, size: int, device: torch.device) -> None:
        self._model = model
        self._last = classifiers.last_layer(model)
        self._features: Tensor | None = None
        pools = [module for module in model.modules() if isinstance(module, nn.AdaptiveAvgPool2d)]
        if pools:
            pools[-1].register_forward_pre_hook(self._keep)
        noise = torch.randn(3, size, size, generator=torch.Generator().manual_seed(0))
        images = torch.stack([noise, noise - 5]).to(device)  # bright and dark, to detect a ReLU after the mean
        if not (pools and self._holds_for(images)):
            raise ValueError(
                f"{type(model).__name__} has no class activation maps: its logits are not a linear function of the "
                "mean of its last feature maps. Models that have them: resnet10, resnet18 to resnet152, resnet50_wsol, "
                "vgg16_gap, pyramidnet200."
            )

    def _keep(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        (self._features,) = inputs

    def _holds_for(self, images: Tensor) -> bool:
        with torch.inference_mode():
            logits = self._model(images)
            if self._features is None or self._features.shape[1] != self._last.in_features:
                return False
            means = self._features.mean(dim=(2, 3))
            return torch.allclose(self._last(means), logits, rtol=1e-3, atol=1e-3)

    @torch.inference_mode()
    def __call__(self, images: Tensor, labels: Tensor, amp: bool = False) -> tuple[Tensor, Tensor]:
        """Compute the logits, and the map of one class for each image.

        Args:
            images: N×3×H×W.
            labels: N int64, the class of each map.
            amp: compute in bfloat16 where that is safe.

        Returns:
            Logits, N×K; maps, N×h×w float32, of the size of the last feature maps.
        """
        with torch.autocast(images.device.type, torch.bfloat16, enabled=amp):
            logits = self._model(images)
        assert self._features is not None
        weights = self._last.weight[labels].float()
        maps = torch.einsum("nc,nchw->nhw", weights, self._features.float())
        self._features = None
        return logits, maps


def upsample(maps: Tensor, size: int) -> Tensor:
    """Resize maps, N×h×w, to N×size×size, bilinearly, with pixel centres aligned as for images."""
    return nn.functional.interpolate(maps[:, None], (size, size), mode="bilinear", align_corners=False)[:, 0]

"""Classifiers by name: torchvision's, the paper's, and a small ResNet for small images on a CPU."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torchvision import models
from torchvision.models.resnet import BasicBlock

from train.models.pyramidnet import PyramidNet
from train.models.wsol import Vgg16Gap, resnet50_wsol


class ResNet10(nn.Module):
    """A narrow ResNet with one basic block in each of four stages (He et al., 2016), 0.3 M parameters.

    Its modules have torchvision's names (``layer4``, ``fc``), so that code that finds feature maps by name works here
    too. Input N×3×H×W, output N×K logits; the last feature maps have 1/8 of the input's side.
    """

    def __init__(self, num_classes: int, width: int = 16) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, kernel_size=3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = self._block(width, width, stride=1)
        self.layer2 = self._block(width, 2 * width, stride=2)
        self.layer3 = self._block(2 * width, 4 * width, stride=2)
        self.layer4 = self._block(4 * width, 8 * width, stride=1)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @staticmethod
    def _block(inputs: int, outputs: int, stride: int) -> BasicBlock:
        if stride == 1 and inputs == outputs:
            return BasicBlock(inputs, outputs)
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        return BasicBlock(inputs, outputs, stride, shortcut)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute logits, N×K, of images, N×3×H×W."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


OWN: dict[str, Callable[[int], nn.Module]] = {
    "resnet10": ResNet10,
    "pyramidnet200": partial(PyramidNet, 200, 240),
    "resnet50_wsol": resnet50_wsol,
    "vgg16_gap": Vgg16Gap,
}
"""Models that torchvision does not have: functions of the number of classes."""


def build(name: str, num_classes: int) -> nn.Module:
    """Make a classifier with random weights: one of ``OWN`` or any classifier of torchvision.

    Example::

        >>> model = build("resnet10", num_classes=10)
        >>> model(torch.zeros(2, 3, 48, 48)).shape
        torch.Size([2, 10])

    Raises:
        ValueError: there is no model of this name.
    """
    if name in OWN:
        return OWN[name](num_classes)
    known = models.list_models(module=models)
    if name not in known:
        near = difflib.get_close_matches(name, [*OWN, *known], n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "for example resnet18, resnet50."
        raise ValueError(
            f"there is no model {name!r}; allowed are {', '.join(OWN)} and torchvision's classification models: {hint}"
        )
    return models.get_model(name, weights=None, num_classes=num_classes)


def last_layer(model: nn.Module) -> nn.Linear:
    """The last linear layer, which computes the logits.

    Raises:
        ValueError: the model has no linear layer.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no linear layer that computes the logits; choose another model.")
    return layers[-1]

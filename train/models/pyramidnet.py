"""PyramidNet with bottleneck blocks for small images (Han et al., CVPR 2017), the paper's model for CIFAR."""

from __future__ import annotations

import math

import torch
from torch import nn


class Bottleneck(nn.Module):
    """A block of BN, 1×1, BN, ReLU, 3×3, BN, ReLU, 1×1, BN and a shortcut without weights; no ReLU after the sum.

    Args:
        inputs: input channels; the block has 4·``width`` output channels, at least as many.
        width: channels of the 3×3 convolution.
        stride: 1, or 2 for half the height and width, rounded up.
    """

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn4 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AvgPool2d(2, ceil_mode=True) if stride == 2 else nn.Identity()
        self.more_channels = 4 * width - inputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute maps, N×(4·width)×H×W or half the height and width, of maps, N×inputs×H×W."""
        y = self.conv1(self.bn1(x))
        y = self.conv2(self.relu(self.bn2(y)))
        y = self.bn4(self.conv3(self.relu(self.bn3(y))))
        return y + nn.functional.pad(self.pool(x), (0, 0, 0, 0, 0, self.more_channels))


class PyramidNet(nn.Module):
    """Three stages of n bottleneck blocks; the k-th block has width 16 + k·α̃/3n, rounded, so that it grows evenly.

    Its modules have torchvision's names (``layer3``, ``avgpool``, ``fc``) where there are any, otherwise the authors'.
    Input N×3×H×W, output N×K logits; the last feature maps have 1/4 of the input's side.

    Args:
        depth: number of layers on the longest path, convolutions and ``fc``: 9·n + 2.
        alpha: widening factor α̃: channels that are added from the first block to the last.
        num_classes: K.

    Raises:
        ValueError: invalid depth or widening factor.
    """

    def __init__(self, depth: int, alpha: float, num_classes: int) -> None:
        super().__init__()
        if not (isinstance(depth, int) and depth >= 11 and depth % 9 == 2):
            raise ValueError(
                f"depth={depth!r} given; it must be 9·n + 2, for n blocks in each stage, such as 164, 200 or 272."
            )
        if not (isinstance(alpha, (int, float)) and 0 < alpha < math.inf):
            raise ValueError(f"alpha={alpha!r} given; it must be a number above 0, by which the last block is wider.")
        blocks = (depth - 2) // 9
        widths = [round(16 + k * alpha / (3 * blocks)) for k in range(1, 3 * blocks + 1)]
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._stage(16, widths[:blocks], stride=1)
        self.layer2 = self._stage(4 * widths[blocks - 1], widths[blocks : 2 * blocks], stride=2)
        self.layer3 = self._stage(4 * widths[2 * blocks - 1], widths[2 * blocks :], stride=2)
        self.bn_final = nn.BatchNorm2d(4 * widths[-1])
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4 * widths[-1], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @staticmethod
    def _stage(inputs: int, widths: list[int], stride: int) -> nn.Sequential:
        channels = [inputs, *(4 * width for width in widths)]
        strides = [stride, *[1] * (len(widths) - 1)]
        return nn.Sequential(*map(Bottleneck, channels, widths, strides))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute logits, N×K, of images, N×3×H×W."""
        x = self.bn1(self.conv1(x))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(self.relu(self.bn_final(x))).flatten(1))

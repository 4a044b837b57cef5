"""Models for weakly supervised object localization: class maps of 14×14 for images of 224×224 (paper, B)."""

from __future__ import annotations

import torch
from torch import nn
from torchvision import models
from torchvision.models import vgg


def resnet50_wsol(num_classes: int) -> nn.Module:
    """Make torchvision's ResNet-50 with stride 1 in ``layer4``; torchvision's weights fit."""
    model = models.resnet50(weights=None, num_classes=num_classes)
    first = model.layer4[0]
    first.conv2.stride = first.downsample[0].stride = (1, 1)
    return model


class Vgg16Gap(nn.Module):
    """VGG16-GAP (Zhou et al., CVPR 2016): VGG-16's convolutions, a 3×3 one to 1,024 channels, mean, a linear layer.

    ``features`` are torchvision's without the last pooling, so torchvision's weights fit. Input N×3×H×W, output N×K
    logits; the last feature maps have 1/16 of the input's side.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.features = vgg.make_layers(vgg.cfgs["D"][:-1])
        self.conv6 = nn.Conv2d(512, 1024, kernel_size=3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(1024, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute logits, N×K, of images, N×3×H×W."""
        return self.fc(self.avgpool(self.relu(self.conv6(self.features(x)))).flatten(1))

"""SSD (Liu et al., ECCV 2016) on a ResNet, from torchvision's building blocks (paper, C)."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD

from train.models import backbones
from train.models.torchvision_detection import PreparedImages, return_float32


class SsdMaps(nn.Module):
    """Feature maps of decreasing size: those of two stages of a ResNet, then those of extra layers, down to 1×1.

    The sides for images of 300 pixels::

        layer2    layer4    extra layers
        38        19        10   5   3   1

    ``layer2``, with 1/8 of the image's side, takes the place of VGG's ``conv4_3`` (paper, C), and ``layer4`` that of
    ``fc7``; its stride is changed so that its map has 1/16 of the image's side.

    Args:
        name: name of the ResNet.
        size: side of the images, in pixels.
        freeze_norm: do not train the ResNet's batch norm.
    """

    def __init__(self, name: str, size: int, freeze_norm: bool = False) -> None:
        super().__init__()
        model = backbones.resnet(name)
        strides = backbones.strides(model)
        backbones.set_stride(model.get_submodule("layer4"), 16 // strides["layer3"])
        first = next(stage for stage, stride in strides.items() if stride == 8)
        self.out_channels = [backbones.width(getattr(model, stage)) for stage in (first, "layer4")]
        if freeze_norm:
            backbones.freeze_norm(model)
        self.body = backbones.body(model, first, "layer4")
        self.sides = [-(-size // 8), -(-size // 16)]
        self.extra = nn.ModuleList()
        for outputs in (512, 256, 256, 256, 256, 256):
            if self.sides[-1] == 1:
                break
            padding = 0 if self.sides[-1] in (3, 5) else 1
            self.extra.append(extra_layer(self.out_channels[-1], outputs, padding))
            self.out_channels.append(outputs)
            self.sides.append((self.sides[-1] + 1) // 2 if padding else self.sides[-1] - 2)

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Compute the feature maps of images, N×3×H×W: by their numbers, the largest first.

        They are float32, since torchvision computes default boxes in their type.
        """
        maps = list(self.body(images).values())
        for layer in self.extra:
            maps.append(layer(maps[-1]))
        return OrderedDict((str(number), found.float()) for number, found in enumerate(maps))


def extra_layer(inputs: int, outputs: int, padding: int) -> nn.Sequential:
    """A 1×1 and a 3×3 convolution; with padding 1 they halve the map, with padding 0 they cut off its border."""
    layer = nn.Sequential(
        nn.Conv2d(inputs, outputs // 2, kernel_size=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs // 2, outputs, kernel_size=3, stride=1 + padding, padding=padding),
        nn.ReLU(inplace=True),
    )
    for parameter in layer.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.zeros_(parameter)
    return layer


def prior_boxes(sides: list[int], size: int) -> DefaultBoxGenerator:
    """SSD's default boxes, as its authors use them for VOC: 8,732 for images of 300 pixels.

    Args:
        sides: sides of the feature maps, the largest first.
        size: side of the images, in pixels.
    """
    ratios = [[2], *[[2, 3]] * (len(sides) - 3), [2], [2]]
    scales = [0.1, *np.linspace(0.2, 1.05, len(sides)).round(4).tolist()]
    steps = [8 * 2**number if side > 3 else size // side for number, side in enumerate(sides)]
    return DefaultBoxGenerator(ratios, scales=scales, steps=steps)


def build_ssd(name: str, num_classes: int, size: int, freeze_norm: bool = False) -> SSD:
    """Make SSD on a ResNet, for images of size×size; label 0 is the background, so classes count from 1.

    Args:
        name: name of the ResNet.
        num_classes: K, without the background.
        size: side of the images, in pixels; at least 17, since smaller ones have too few feature maps.
        freeze_norm: do not train the ResNet's batch norm.
    """
    maps = SsdMaps(name, size, freeze_norm)
    model = SSD(maps, prior_boxes(maps.sides, size), (size, size), num_classes + 1)
    model.transform = PreparedImages()
    return_float32(model.head)
    return model

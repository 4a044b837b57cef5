"""Backbones: the stages of a ResNet classifier, with the names that its weights have."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.ops import FrozenBatchNorm2d

from train.models import classifiers

STAGES = ("layer1", "layer2", "layer3", "layer4")


def resnet(name: str) -> nn.Module:
    """Make a ResNet by name, with random weights.

    Raises:
        ValueError: there is no such model, or it does not have the four stages of a ResNet.
    """
    model = classifiers.build(name, 1)
    if not all(hasattr(model, part) for part in ("conv1", "bn1", *STAGES, "fc")):
        raise ValueError(f"--model {name} given; a backbone must be a ResNet, such as resnet10, resnet18 or resnet50.")
    return model


def body(model: nn.Module, *outputs: str) -> IntermediateLayerGetter:
    """The part of a ResNet that computes the feature maps of these stages, as a dictionary by their names."""
    return IntermediateLayerGetter(model, {stage: stage for stage in outputs})


def strides(model: nn.Module) -> dict[str, int]:
    """The stride of each stage's feature maps: the pixels of the image from one position to the next."""
    with torch.no_grad():
        maps = body(model.eval(), *STAGES)(torch.zeros(1, 3, 256, 256))
    model.train()
    return {stage: 256 // found.shape[-1] for stage, found in maps.items()}


def set_stride(stage: nn.Module, stride: int) -> None:
    """Change the stride of a stage; its weights stay the same."""
    first = stage[0] if isinstance(stage, nn.Sequential) else stage
    convolutions = [module for module in first.modules() if isinstance(module, nn.Conv2d)]
    three = next(convolution for convolution in convolutions if convolution.kernel_size == (3, 3))
    for convolution in (three, convolutions[-1]):  # the last one is the shortcut's
        convolution.stride = (stride, stride)


def width(stage: nn.Module) -> int:
    """Number of output channels of a stage."""
    last = stage[-1] if isinstance(stage, nn.Sequential) else stage
    return [m for m in last.children() if isinstance(m, nn.Conv2d)][-1].out_channels


def freeze_norm(model: nn.Module) -> None:
    """Replace each batch norm by a fixed affine map with the same parameter names, in place."""
    for name, child in model.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(model, name, FrozenBatchNorm2d(child.num_features, child.eps))
        else:
            freeze_norm(child)

"""Classifiers by name."""

import pytest
import torch
from torchvision import models as torchvision_models

from train.models.classifiers import build


@pytest.mark.parametrize("size", [32, 48, 64, 65])
def test_resnet10_takes_any_size_and_gives_logits(size):
    model = build("resnet10", 7)
    assert model(torch.randn(2, 3, size, size)).shape == (2, 7)


def test_resnet10_gives_the_same_in_channels_last():
    torch.manual_seed(0)
    model, images = build("resnet10", 7).eval(), torch.randn(2, 3, 48, 48)
    expected = model(images)
    last = model.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected, rtol=1e-4, atol=1e-4)


def test_resnet10_has_torchvisions_names_and_maps_of_an_eighth():
    model = build("resnet10", 10)
    maps = {}
    model.layer4.register_forward_hook(lambda _, __, output: maps.update(layer4=output))
    model(torch.randn(1, 3, 48, 48))
    assert maps["layer4"].shape == (1, 128, 6, 6)
    assert model.fc.in_features == 128
    assert sum(parameter.numel() for parameter in model.parameters()) == 308826


def test_torchvisions_models_come_untrained_with_the_wanted_classes():
    model = build("resnet18", 5)
    assert isinstance(model, torchvision_models.ResNet)
    assert model.fc.out_features == 5


@pytest.mark.parametrize(("name", "hint"), [("resnet5O", "did you mean resnet50"), ("?", "for example resnet18")])
def test_an_unknown_name_is_refused_with_a_near_one(name, hint):
    with pytest.raises(ValueError, match=f"no model '{name}'.*{hint}".replace("?", r"\?")):
        build(name, 10)

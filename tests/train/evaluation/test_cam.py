"""Class activation maps: their mean is the logit, a hand-made model points where it looks, others are refused."""

import pytest
import torch
from torch import nn

from train.evaluation.cam import ClassMaps, upsample
from train.models import classifiers

CPU = torch.device("cpu")
MAPPED = {"resnet10": 48, "resnet18": 64, "resnet50_wsol": 64, "vgg16_gap": 64}


@pytest.mark.parametrize(("name", "size"), MAPPED.items())
def test_the_mean_of_a_map_is_the_logit_without_the_bias(name, size):
    torch.manual_seed(0)
    model = classifiers.build(name, 5).eval()
    maps = ClassMaps(model, size, CPU)
    images, labels = torch.randn(3, 3, size, size), torch.tensor([4, 0, 2])
    with torch.no_grad():
        expected = model(images)
        bias = classifiers.last_layer(model).bias[labels]
    logits, found = maps(images, labels)
    torch.testing.assert_close(logits, expected)
    chosen = expected[torch.arange(3), labels]
    torch.testing.assert_close(found.mean((1, 2)) + bias, chosen, rtol=1e-3, atol=1e-4)


def test_the_papers_models_have_maps_of_14(monkeypatch):
    for name in ("resnet50_wsol", "vgg16_gap"):
        model = classifiers.build(name, 2).eval()
        _, found = ClassMaps(model, 224, CPU)(torch.randn(1, 3, 224, 224), torch.tensor([1]))
        assert found.shape == (1, 14, 14)


class Eye(nn.Module):
    """Class k looks at channel k only."""

    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool2d(4)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(3, 3)
        with torch.no_grad():
            self.fc.weight.copy_(2 * torch.eye(3))

    def forward(self, images):
        return self.fc(self.avgpool(self.pool(images)).flatten(1))


def test_a_map_is_where_its_class_was_seen():
    images = torch.zeros(2, 3, 16, 16)
    images[:, 1, 9, 2] = 1
    images[:, 2, 3, 15] = 1
    _, found = ClassMaps(Eye().eval(), 16, CPU)(images, torch.tensor([1, 2]))
    expected = torch.zeros(2, 4, 4)
    expected[0, 2, 0] = expected[1, 0, 3] = 2
    torch.testing.assert_close(found, expected)


class Deep(Eye):
    """One more layer behind the mean."""

    def forward(self, images):
        return self.fc(self.avgpool(self.pool(images)).flatten(1).relu())


@pytest.mark.parametrize(
    "make", [Deep, lambda: classifiers.build("mobilenet_v3_small", 3), lambda: classifiers.build("vgg11", 3)]
)
def test_a_model_without_maps_is_refused(make):
    with pytest.raises(ValueError, match=r"has no class activation maps: its logits are not a linear .*resnet50_wsol"):
        ClassMaps(make().eval(), 32, CPU)


def test_a_model_without_a_linear_layer_is_refused():
    with pytest.raises(
        ValueError, match="SqueezeNet has no linear layer that computes the logits; choose another model"
    ):
        ClassMaps(classifiers.build("squeezenet1_0", 3).eval(), 64, CPU)


def test_upsampling_is_that_of_images():
    ramp = torch.arange(4.0).expand(1, 4, 4)
    found = upsample(ramp, 8)[0, 0]
    torch.testing.assert_close(found, torch.tensor([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]))

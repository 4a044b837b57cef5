"""PyramidNet: the published sizes, and the definition computed by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from train.models.pyramidnet import PyramidNet

# Depth, α̃ and parameters for 10 and for 100 classes: github.com/osmr/imgclsmob, tables of CIFAR-10 and CIFAR-100.
PUBLISHED = [
    (164, 270, 27_216_021, 27_319_071),
    (200, 240, 26_752_702, 26_844_952),  # 26.8 M in the CutMix paper
    (236, 220, 26_969_046, 27_054_096),
    (272, 200, 26_210_842, 26_288_692),
]
# Depth, α̃, features before the last layer and millions of parameters: Han et al., github.com/jhkim89/PyramidNet.
AUTHORS = [
    (164, 48, 256, 1.7),
    (164, 84, 400, 3.8),
    (164, 270, 1144, 27.0),
    (200, 240, 1024, 26.6),
    (236, 220, 944, 26.8),
    (272, 200, 864, 26.0),
]


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("depth", "alpha", "for_10", "for_100"), PUBLISHED)
def test_it_has_the_published_number_of_parameters(depth, alpha, for_10, for_100):
    with torch.device("meta"):
        assert [count(PyramidNet(depth, alpha, num_classes)) for num_classes in (10, 100)] == [for_10, for_100]


@pytest.mark.parametrize(("depth", "alpha", "features", "millions"), AUTHORS)
def test_it_is_as_wide_and_as_large_as_its_authors_say(depth, alpha, features, millions):
    with torch.device("meta"):
        model = PyramidNet(depth, alpha, 10)
    assert model.fc.in_features == features
    assert count(model) / 1e6 == pytest.approx(millions, rel=0.01, abs=0.05)


def test_stages_keep_halve_and_quarter_the_image_and_widen_block_by_block():
    model, shapes = PyramidNet(29, 20, 7), {}
    for name in ("conv1", "layer1", "layer2", "layer3", "avgpool"):
        model.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: shapes.update({name: tuple(output.shape)})
        )
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 7)
    assert shapes == {
        "conv1": (2, 16, 32, 32),
        "layer1": (2, 4 * 23, 32, 32),  # 16 + 3·20/9 = 22.67
        "layer2": (2, 4 * 29, 16, 16),  # 29.33
        "layer3": (2, 4 * 36, 8, 8),
        "avgpool": (2, 4 * 36, 1, 1),
    }
    widths = [block.conv2.out_channels for stage in (model.layer1, model.layer2, model.layer3) for block in stage]
    assert widths == [round(16 + k * 20 / 9) for k in range(1, 10)] == [18, 20, 23, 25, 27, 29, 32, 34, 36]


@pytest.mark.parametrize("size", [32, 33, 64, 7])
def test_any_size_gives_logits(size):
    assert PyramidNet(11, 6, 5)(torch.randn(2, 3, size, size)).shape == (2, 5)


def test_its_parts_have_the_names_in_the_authors_checkpoints():
    names = set(PyramidNet(11, 6, 10).state_dict())
    parts = ["bn1", "conv1", "bn2", "conv2", "bn3", "conv3", "bn4"]
    blocks = [f"layer{stage}.0.{part}" for stage in (1, 2, 3) for part in parts]
    assert {name.rpartition(".")[0] for name in names} == {"conv1", "bn1", *blocks, "bn_final", "fc"}


def by_hand(weights, stages, images):
    """The definition with torch's functions alone, in training mode; shortcuts pixel by pixel."""

    def bn(name, x):
        mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
        scale, shift = (weights[f"{name}.{part}"].view(1, -1, 1, 1) for part in ("weight", "bias"))
        return (x - mean) / torch.sqrt(variance + 1e-5) * scale + shift

    def shortcut(x, channels, stride):
        n, inputs, height, width = x.shape
        out = torch.zeros(n, channels, -(-height // stride), -(-width // stride), dtype=x.dtype)
        for i in range(out.shape[2]):
            for j in range(out.shape[3]):
                window = x[:, :, stride * i : stride * (i + 1), stride * j : stride * (j + 1)]
                out[:, :inputs, i, j] = window.mean((2, 3))
        return out

    x = bn("bn1", F.conv2d(images, weights["conv1.weight"], padding=1))
    for stage, blocks in enumerate(stages, 1):
        for block in range(blocks):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = F.conv2d(bn(f"{name}.bn1", x), weights[f"{name}.conv1.weight"])
            y = F.conv2d(bn(f"{name}.bn2", y).clamp(min=0), weights[f"{name}.conv2.weight"], None, stride, padding=1)
            y = bn(f"{name}.bn4", F.conv2d(bn(f"{name}.bn3", y).clamp(min=0), weights[f"{name}.conv3.weight"]))
            x = y + shortcut(x, y.shape[1], stride)
    x = bn("bn_final", x).clamp(min=0).mean((2, 3))
    return x @ weights["fc.weight"].T + weights["fc.bias"]


@pytest.mark.parametrize("size", [8, 7])
def test_logits_are_the_definitions(size):
    torch.manual_seed(0)
    model = PyramidNet(20, 7, 5).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    images = torch.randn(3, 3, size, size, dtype=torch.float64)
    torch.testing.assert_close(model(images), by_hand(model.state_dict(), (2, 2, 2), images))


def test_it_gives_the_same_in_channels_last():
    torch.manual_seed(0)
    model, images = PyramidNet(11, 6, 7).eval(), torch.randn(2, 3, 32, 32)
    expected = model(images)
    last = model.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected, rtol=1e-4, atol=1e-4)


def test_weights_begin_as_he_et_al_draw_them():
    torch.manual_seed(0)
    model = PyramidNet(29, 60, 10)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            wanted = math.sqrt(2 / (module.kernel_size[0] ** 2 * module.out_channels))
            sampled = 5 / math.sqrt(2 * module.weight.numel())  # deviations of a sample's deviation
            assert module.weight.std().item() == pytest.approx(wanted, rel=sampled)
            assert module.bias is None
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()


def test_every_parameter_learns_and_eight_images_are_soon_known_by_heart():
    torch.manual_seed(0)
    model, images, labels = PyramidNet(11, 6, 4), torch.randn(8, 3, 16, 16), torch.arange(8) % 4
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    for _ in range(30):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        assert all((parameter.grad != 0).any() for parameter in model.parameters())
        optimizer.step()
    assert loss.item() < 0.1
    assert (model(images).argmax(1) == labels).all()


@pytest.mark.parametrize("depth", [2, 10, 201, -7, 11.0, "200"])
def test_a_depth_that_three_equal_stages_of_bottlenecks_cannot_have_is_refused(depth):
    with pytest.raises(ValueError, match=rf"depth={depth!r} given; it must be 9·n \+ 2, .* such as 164, 200 or 272"):
        PyramidNet(depth, 240, 100)


@pytest.mark.parametrize("alpha", [0, -1, float("inf"), float("nan"), "240"])
def test_a_widening_that_is_none_is_refused(alpha):
    with pytest.raises(ValueError, match=rf"alpha={alpha!r} given; .*a number above 0"):
        PyramidNet(200, alpha, 100)

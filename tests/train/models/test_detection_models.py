"""SSD and Faster R-CNN: sizes, default boxes and parameters as published, losses by definition, overfitting."""

import copy

import pytest
import torch
from torch import nn
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import FrozenBatchNorm2d

from train.models import backbones, classifiers
from train.models.faster_rcnn import build_faster_rcnn
from train.models.ssd import SsdMaps, build_ssd, prior_boxes
from train.models.torchvision_detection import return_float32
from train.tasks.detection.task import backbone_parts
from train.tasks.initial_weights import load_matching_weights

BODY = 23_508_032  # of ResNet-50 without its last layer, which has 2,049,000: 25,557,032 in all, as torchvision says


@pytest.fixture(autouse=True)
def one_thread():
    """What is so small is slower with two, and much slower where others want the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def conv(inputs, outputs, kernel):
    return inputs * outputs * kernel**2 + outputs


def default_boxes(sides, size):
    maps = [torch.zeros(1, 1, side, side) for side in sides]
    images = ImageList(torch.zeros(1, 3, size, size), [(size, size)])
    (boxes,) = prior_boxes(sides, size)(images, maps)
    return boxes


def test_ssds_maps_have_the_published_sides():
    maps = SsdMaps("resnet50", 300)
    found = maps.eval()(torch.zeros(1, 3, 300, 300))
    assert [tuple(one.shape[1:]) for one in found.values()] == [
        (512, 38, 38),
        (2048, 19, 19),
        (512, 10, 10),
        (256, 5, 5),
        (256, 3, 3),
        (256, 1, 1),
    ]
    assert maps.sides == [38, 19, 10, 5, 3, 1]
    assert maps.out_channels == [512, 2048, 512, 256, 256, 256]


@pytest.mark.parametrize(("size", "sides"), [(128, [16, 8, 4, 2, 1]), (160, [20, 10, 5, 3, 1]), (512, None)])
def test_maps_fall_to_one_place_for_other_sizes(size, sides):
    maps = SsdMaps("resnet10", size)
    found = list(maps.eval()(torch.zeros(1, 3, size, size)).values())
    assert [one.shape[-1] for one in found] == maps.sides
    assert [one.shape[1] for one in found] == maps.out_channels
    assert maps.sides[-1] == 1
    assert sides is None or maps.sides == sides


def test_ssd_has_8732_default_boxes_of_the_published_sizes():
    """Sides 30, 60, 111, … 264 pixels and their geometric means with the next; steps 8, 16, 32, 64, 100, 300."""
    boxes = default_boxes([38, 19, 10, 5, 3, 1], 300)
    assert boxes.shape == (8732, 4)
    generator = prior_boxes([38, 19, 10, 5, 3, 1], 300)
    assert generator.steps == [8, 16, 32, 64, 100, 300]
    assert [round(300 * scale, 1) for scale in generator.scales] == [30, 60, 111, 162, 213, 264, 315]
    first = boxes[4 * (19 * 38 + 19) :][:4]  # the place whose centre is 19.5 · 8 = 156 pixels from both borders
    centre = (first[:, :2] + first[:, 2:]) / 2
    assert torch.allclose(centre, torch.full((4, 2), 156.0))
    sides = (first[:, 2:] - first[:, :2]).tolist()
    wide = [30 * 2**0.5, 30 / 2**0.5]
    expected = [[30, 30], [(30 * 60) ** 0.5] * 2, wide, wide[::-1]]
    assert sides == [pytest.approx(side, rel=1e-4) for side in expected]


def test_ssds_parameters_are_those_of_its_parts():
    extras = sum(
        conv(inputs, outputs // 2, 1) + conv(outputs // 2, outputs, 3)
        for inputs, outputs in [(2048, 512), (512, 256), (256, 256), (256, 256)]
    )
    anchors, channels = [4, 6, 6, 6, 4, 4], [512, 2048, 512, 256, 256, 256]
    heads = sum(conv(c, a * (21 + 4), 3) for a, c in zip(anchors, channels, strict=True))
    assert count(build_ssd("resnet50", 20, 300)) == BODY + extras + heads


def test_faster_rcnns_parameters_are_those_of_its_parts():
    model = build_faster_rcnn("resnet50", 20, freeze_norm=False)
    rpn = conv(1024, 1024, 3) + conv(1024, 9, 1) + conv(1024, 36, 1)
    predictor = 2049 * 21 + 2049 * 84
    assert count(model) == BODY + rpn + predictor
    assert model.rpn.anchor_generator.sizes == ((128, 256, 512),)


def test_with_frozen_norm_faster_rcnns_first_layers_are_not_trained():
    def fixed(model):
        return {name for name, parameter in model.named_parameters() if not parameter.requires_grad}

    found = fixed(build_faster_rcnn("resnet50", 20, freeze_norm=True))
    assert "backbone.body.conv1.weight" in found
    assert len(found) == 1 + 10  # of the first layer, three blocks of three convolutions and a shortcut
    assert all(name.startswith(("backbone.body.conv1.", "backbone.body.layer1.")) for name in found)
    assert not fixed(build_faster_rcnn("resnet50", 20, freeze_norm=False))
    assert not fixed(build_ssd("resnet18", 3, 96, freeze_norm=True))


def test_ssds_norm_is_frozen_too(tmp_path):
    classifier = classifiers.build("resnet18", 7)
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
    torch.save(classifier.state_dict(), tmp_path / "x.pth")
    model = build_ssd("resnet18", 3, 96, freeze_norm=True)
    assert any(isinstance(module, FrozenBatchNorm2d) for module in model.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    taken = load_matching_weights(backbone_parts(model), tmp_path / "x.pth", complete=True)
    assert (taken.random, taken.unused) == ((), ("fc.weight", "fc.bias"))
    assert torch.equal(model.backbone.body["bn1"].running_mean, classifier.bn1.running_mean)
    assert any(isinstance(module, nn.BatchNorm2d) for module in build_ssd("resnet18", 3, 96).modules())


def test_frozen_norm_learns_nothing_and_keeps_its_names(tmp_path):
    torch.manual_seed(0)
    classifier = classifiers.build("resnet18", 7)
    torch.save(classifier.state_dict(), tmp_path / "x.pth")
    model = build_faster_rcnn("resnet18", 3)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert any(isinstance(module, FrozenBatchNorm2d) for module in model.modules())
    taken = load_matching_weights(backbone_parts(model), tmp_path / "x.pth", complete=True)
    assert (taken.random, taken.unused) == ((), ("fc.weight", "fc.bias"))
    with torch.no_grad():
        images = torch.randn(1, 3, 64, 64)
        maps = classifier.eval().layer3(
            classifier.layer2(
                classifier.layer1(classifier.maxpool(classifier.relu(classifier.bn1(classifier.conv1(images)))))
            )
        )
        torch.testing.assert_close(model.train().backbone(images), maps)
        torch.testing.assert_close(model.roi_heads.box_head(maps), classifier.layer4(maps).mean((2, 3)))


@pytest.mark.parametrize("name", ["resnet10", "resnet18", "resnet50"])
def test_a_classifiers_weights_fit_ssd(tmp_path, name):
    classifier = classifiers.build(name, 5)
    torch.save(classifier.state_dict(), tmp_path / "x.pth")
    model = build_ssd(name, 3, 96)
    taken = load_matching_weights(backbone_parts(model), tmp_path / "x.pth", complete=True)
    assert (taken.random, taken.unused) == ((), ("fc.weight", "fc.bias"))
    assert torch.equal(
        model.backbone.body["layer4"].state_dict()[last(classifier)], classifier.layer4.state_dict()[last(classifier)]
    )


def last(classifier):
    return [key for key in classifier.layer4.state_dict() if "weight" in key][-1]


@pytest.mark.parametrize("name", ["vgg16_gap", "densenet121", "pyramidnet200"])
def test_what_is_no_resnet_is_refused(name):
    with pytest.raises(ValueError, match=f"--model {name} given; a backbone must be a ResNet, such as resnet10"):
        backbones.resnet(name)


def test_weights_of_another_resnet_are_refused(tmp_path):
    torch.save(classifiers.build("resnet18", 5).state_dict(), tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"x.pth: conv1.weight has the shape \[64, 3, 7, 7\], in the model \[16, 3"):
        load_matching_weights(backbone_parts(build_ssd("resnet10", 3, 96)), tmp_path / "x.pth", complete=True)
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "y.pth")
    with pytest.raises(ValueError, match=r"y.pth: 1 of the model's 120 tensors are in it, bn1.weight, .* are not"):
        load_matching_weights(backbone_parts(build_ssd("resnet18", 3, 96)), tmp_path / "y.pth", complete=True)


def scene():
    """Two images with a bright square each, of class 1 and of class 2, on noise."""
    torch.manual_seed(0)
    images, targets = [], []
    for label, (x, y) in ((1, (10, 16)), (2, (30, 40))):
        image = 0.1 * torch.randn(3, 96, 96)
        image[label, y : y + 40, x : x + 40] += 2
        images.append(image)
        targets.append({"boxes": torch.tensor([[x, y, x + 40.0, y + 40.0]]), "labels": torch.tensor([label])})
    return images, targets


@pytest.mark.parametrize(
    ("make", "steps", "rate"),
    [
        (lambda: build_ssd("resnet10", 2, 96), 60, 0.02),
        (lambda: build_faster_rcnn("resnet10", 2, 96, freeze_norm=False, proposals=(50, 20), regions=16), 120, 0.02),
    ],
    ids=["ssd", "faster-rcnn"],
)
def test_it_learns_two_images_by_heart(make, steps, rate):
    torch.manual_seed(1)
    model, (images, targets) = make().train(), scene()
    optimizer = torch.optim.SGD(model.parameters(), rate, 0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        sum(model(images, targets).values()).backward()
        optimizer.step()
    with torch.no_grad():
        found = model.eval()(images)
    for one, target in zip(found, targets, strict=True):
        assert one["labels"][0] == target["labels"][0]
        assert one["scores"][0] > 0.5
        x1, y1, x2, y2 = one["boxes"][0].tolist()
        assert [x1, y1, x2, y2] == pytest.approx(target["boxes"][0].tolist(), abs=6)


DETECTORS = {
    "ssd": lambda: build_ssd("resnet10", 2, 96),
    "faster-rcnn": lambda: build_faster_rcnn("resnet10", 2, 96, freeze_norm=False, proposals=(50, 20), regions=16),
}


def anchors_of(model):
    return model.anchor_generator if hasattr(model, "anchor_generator") else model.rpn.anchor_generator


def spied(model, images, targets, amp):
    """All tensors that a step and a detection make boxes of, by what they are."""
    seen = {}

    def keep(name):
        def hook(_module, _inputs, outputs):
            parts = outputs if isinstance(outputs, list | tuple) else [outputs]
            seen.setdefault(name, []).extend(one for one in parts if isinstance(one, torch.Tensor))

        return hook

    anchors_of(model).register_forward_hook(keep("anchors"))
    coders = [model.box_coder] if hasattr(model, "box_coder") else [model.rpn.box_coder, model.roi_heads.box_coder]
    for coder in coders:
        for name in ("encode_single", "decode_single"):

            def spy(*arguments, name=name, plain=getattr(coder, name)):
                found = plain(*arguments)
                seen.setdefault(name, []).extend([*arguments, found])
                return found

            setattr(coder, name, spy)
    torch.manual_seed(3)
    with torch.autocast("cpu", torch.bfloat16, enabled=amp):
        losses = model.train()(images, targets)
        with torch.no_grad():
            found = model.eval()(images)
    seen["boxes"] = [one[name] for one in found for name in ("boxes", "scores")]
    seen["losses"] = list(losses.values())
    return seen


@pytest.mark.parametrize("name", DETECTORS)
def test_in_bfloat16_all_boxes_stay_float32(name):
    """Anchors, targets, proposals and detections: bfloat16 would round a box at 200 pixels to a whole one."""
    torch.manual_seed(1)
    plain, (images, targets) = DETECTORS[name]().train(), scene()
    with torch.no_grad():
        plain(images, targets)  # batch norm has seen the images
    seen = {amp: spied(copy.deepcopy(plain), images, targets, amp) for amp in (False, True)}
    assert {one.dtype for parts in seen[True].values() for one in parts} == {torch.float32}
    for one, other in zip(seen[False]["anchors"], seen[True]["anchors"], strict=True):
        assert torch.equal(one, other)
    if name == "ssd":  # of the other one regions are drawn, and a little moves them
        for one, other in zip(seen[False]["encode_single"], seen[True]["encode_single"], strict=True):
            assert torch.equal(one, other)
        for one, other in zip(seen[False]["decode_single"], seen[True]["decode_single"], strict=True):
            torch.testing.assert_close(one, other, rtol=0.05, atol=1)


@pytest.mark.parametrize("name", DETECTORS)
def test_it_learns_in_bfloat16(name):
    torch.manual_seed(1)
    model, (images, targets) = DETECTORS[name]().train(), scene()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, 0.9)
    losses = []
    for _ in range(8):
        with torch.autocast("cpu", torch.bfloat16):
            loss = sum(model(images, targets).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(parameter.dtype == parameter.grad.dtype == torch.float32 for parameter in model.parameters())


def test_only_the_type_of_an_output_changes():
    module = nn.Identity()
    return_float32(module)
    half = torch.ones(2, dtype=torch.bfloat16)
    found = module({"a": [half], "b": (half, half)})
    assert [(name, type(value)) for name, value in found.items()] == [("a", list), ("b", tuple)]
    assert [one.dtype for value in found.values() for one in value] == [torch.float32] * 3


def test_images_are_neither_resized_nor_normalized_again():
    images = [torch.full((3, 50, 70), 7.0), torch.full((3, 60, 40), -3.0)]
    batch, _ = build_faster_rcnn("resnet10", 2, 64, freeze_norm=False).transform(images)
    assert batch.image_sizes == [(50, 70), (60, 40)]
    assert tuple(batch.tensors.shape) == (2, 3, 64, 96)
    assert torch.equal(batch.tensors[0, :, :50, :70], images[0])
    assert batch.tensors[0].sum() == images[0].sum()

"""Faster R-CNN (Ren et al., NIPS 2015) on a ResNet, from torchvision's building blocks (paper, C)."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FasterRCNN, FastRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from train.models import backbones
from train.models.torchvision_detection import PreparedImages, return_float32


class Layer4(nn.Module):
    """Head of a region, in place of VGG's fully connected layers: the last stage of a ResNet, and the mean."""

    def __init__(self, layer4: nn.Module) -> None:
        super().__init__()
        self.layer4 = layer4

    def forward(self, regions: Tensor) -> Tensor:
        """Compute features, N×C, of regions, N×channels×7×7."""
        return self.layer4(regions).mean(dim=(2, 3))


def build_faster_rcnn(
    name: str,
    num_classes: int,
    short_side: int = 600,
    freeze_norm: bool = True,
    proposals: tuple[int, int] = (2000, 300),
    regions: int = 128,
) -> FasterRCNN:
    """Make Faster R-CNN on a ResNet instead of VGG-16.

    ``layer1`` to ``layer3`` compute the feature maps, ``layer4`` is the head of each region::

        image ──▶ conv1 … layer3 ──▶ maps ──▶ region proposals
                                      └────▶ 7×7 of each region ──▶ layer4, mean ──▶ class and box

    Anchors have sides of 128, 256 and 512 pixels for a short side of 600, and three shapes. Numbers and thresholds are
    those of the implementation that the paper cites: 256 anchors per image are trained on, the threshold of
    non-maximum suppression is 0.3. But detections with scores below 0.01 are dropped; that implementation keeps all.
    Label 0 is the background.

    Args:
        name: name of the ResNet.
        num_classes: K, without the background.
        short_side: shorter side of the images, in pixels.
        freeze_norm: do not train batch norm, since batches are small; nor the first layers, ``conv1`` and ``layer1``.
        proposals: region proposals per image, in training and in evaluation.
        regions: how many of the proposals per image are trained on.
    """
    model = backbones.resnet(name)
    if freeze_norm:
        backbones.freeze_norm(model)
        for first in ("conv1", "layer1"):
            model.get_submodule(first).requires_grad_(False)
    last = model.get_submodule("layer4")
    head_width = backbones.width(last)
    sides = tuple(short_side * side // 600 for side in (128, 256, 512))
    detector = FasterRCNN(
        _SingleMap(backbones.body(model, "layer3")),
        rpn_anchor_generator=AnchorGenerator((sides,), ((0.5, 1.0, 2.0),)),
        rpn_pre_nms_top_n_train=6 * proposals[0],
        rpn_pre_nms_top_n_test=20 * proposals[1],
        rpn_post_nms_top_n_train=proposals[0],
        rpn_post_nms_top_n_test=proposals[1],
        box_roi_pool=MultiScaleRoIAlign(["0"], output_size=7, sampling_ratio=2),
        box_head=Layer4(last),
        box_predictor=FastRCNNPredictor(head_width, num_classes + 1),
        box_batch_size_per_image=regions,
        box_score_thresh=0.01,
        box_nms_thresh=0.3,
    )
    detector.transform = PreparedImages(divisible=32)
    return_float32(detector.rpn.head)
    return_float32(detector.roi_heads.box_predictor)
    return detector


class _SingleMap(nn.Module):
    """A backbone with a single feature map, that of ``layer3``, as torchvision's detectors expect it.

    The map is float32, since torchvision computes anchors in the type of the map.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.out_channels = backbones.width(body.get_submodule("layer3"))

    def forward(self, images: Tensor) -> Tensor:
        (found,) = self.body(images).values()
        return found.float()

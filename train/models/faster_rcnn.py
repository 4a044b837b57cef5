"""Faster R-CNN (Ren et al., NIPS 2015) on a ResNet, from torchvision's building blocks (paper, C)."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FasterRCNN, FastRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from train.models import backbones
from train.models.torchvision_detection import PreparedImages, return_float32


class Layer4(nn.Module):
    """What VGG's fully connected layers did: a ResNet's last stage on every region, and the mean."""

    def __init__(self, layer4: nn.Module) -> None:
        super().__init__()
        self.layer4 = layer4

    def forward(self, regions: Tensor) -> Tensor:
        """N×C of N×channels×7×7."""
        return self.layer4(regions).mean(dim=(2, 3))


def build_faster_rcnn(
    name: str,
    num_classes: int,
    short_side: int = 600,
    freeze_norm: bool = True,
    proposals: tuple[int, int] = (2000, 300),
    regions: int = 128,
) -> FasterRCNN:
    """Faster R-CNN on a ResNet in VGG-16's place: regions on the maps of ``layer3``, ``layer4`` on each region.

    Anchors have sides of 128, 256 and 512 pixels for a short side of 600, and three shapes; numbers and thresholds are
    those of the implementation that the paper names: 256 anchors of an image are trained on, non-maximum suppression is
    at 0.3. But detections below 0.01 are dropped, where it keeps all. Label 0 is the background.

    Args:
        name: of the ResNet.
        num_classes: K, without the background.
        short_side: of the images, in pixels.
        freeze_norm: keep batch norm as the backbone's weights have it, since batches are small; the first layers,
            ``conv1`` and ``layer1``, are not trained then either.
        proposals: regions that are proposed for an image, in training and in evaluation.
        regions: of these, how many of an image are trained on.
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
        _Only(backbones.body(model, "layer3")),
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


class _Only(nn.Module):
    """A body that ends with ``layer3``, as torchvision's detectors take it: with one map.

    That is float32, as anchors take its type.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.out_channels = backbones.width(body.get_submodule("layer3"))

    def forward(self, images: Tensor) -> Tensor:
        (found,) = self.body(images).values()
        return found.float()

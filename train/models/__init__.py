"""Models: classifiers by name, and detectors and a captioner on their backbones.

::

    classifiers ──▶ backbones.resnet ─┬─▶ ssd, faster_rcnn     torchvision's detectors
    ResNet10, PyramidNet, wsol,       └─▶ nic                  an LSTM that writes captions
    all of torchvision

Modules keep torchvision's names (``layer4``, ``fc``), so that the weights of a classifier fit its backbone.
"""

from train.models import classifiers
from train.models.backbones import resnet
from train.models.faster_rcnn import build_faster_rcnn
from train.models.nic import LstmState, Nic
from train.models.ssd import build_ssd

__all__ = ["LstmState", "Nic", "build_faster_rcnn", "build_ssd", "classifiers", "resnet"]

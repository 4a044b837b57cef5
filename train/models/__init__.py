"""Models by name: classifiers, their backbones, detectors, the captioner."""

from train.models import classifiers
from train.models.backbones import resnet
from train.models.faster_rcnn import build_faster_rcnn
from train.models.nic import LstmState, Nic
from train.models.ssd import build_ssd

__all__ = ["LstmState", "Nic", "build_faster_rcnn", "build_ssd", "classifiers", "resnet"]

"""Frozen configurations of a run: options that all tasks share, and those of each task."""

from train.config.captioning import CaptioningConfig
from train.config.classification import Config
from train.config.detection import DetectionConfig
from train.config.run import RunConfig, check

__all__ = ["CaptioningConfig", "Config", "DetectionConfig", "RunConfig", "check"]

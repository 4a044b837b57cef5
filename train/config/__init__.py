"""Configurations of a run: frozen dataclasses whose fields are the command line's options.

`RunConfig` holds the options that all tasks share, its subclasses those of one task. Recipes return them, the command
line changes them, checkpoints save them::

    RunConfig ─┬─ Config             a classifier
               ├─ DetectionConfig    SSD, Faster R-CNN
               └─ CaptioningConfig   NIC

Each class checks its values when it is made; `check` and `check_timeout` are helpers for that.
"""

from train.config.captioning import CaptioningConfig
from train.config.classification import Config
from train.config.detection import DetectionConfig
from train.config.run import PATHS, RunConfig, check, check_timeout

__all__ = ["PATHS", "CaptioningConfig", "Config", "DetectionConfig", "RunConfig", "check", "check_timeout"]

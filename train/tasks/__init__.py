"""Tasks that the training loop can train: classification, detection, captioning.

A task puts loaders of `pipelines`, a model of `train.models`, a loss and metrics together (see `train.engine.Task`)::

    configuration ── registry.make_task ──▶ task
    Config                                  classification.Classification
    DetectionConfig                         detection.Detection
    CaptioningConfig                        captioning.Captioning

`loader_arguments` and `initial_weights` are what the tasks have in common.
"""

from train.tasks import classification
from train.tasks.loader_arguments import batch_size_per_process
from train.tasks.registry import make_task

__all__ = ["batch_size_per_process", "classification", "make_task"]

"""Tasks that the loop trains: classification, detection, captioning."""

from train.tasks import classification
from train.tasks.loader_arguments import batch_size_per_process
from train.tasks.registry import make_task

__all__ = ["batch_size_per_process", "classification", "make_task"]

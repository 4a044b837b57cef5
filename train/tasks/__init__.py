"""Tasks that the loop trains: classification, detection, captioning."""

from train.tasks import classification
from train.tasks.loader_arguments import share_of_batch
from train.tasks.registry import make_task

__all__ = ["classification", "make_task", "share_of_batch"]

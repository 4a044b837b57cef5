"""Epochs of torch tensors from a pipeline, with a state at the consumer's position."""

from dali_cutmix.loader.all_ranks import AllRanks
from dali_cutmix.loader.loader import Loader

__all__ = ["AllRanks", "Loader"]

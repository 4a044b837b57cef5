"""Epochs of torch tensors from a pipeline, with a state at the consumer's position.

    graph ──▶ PipelineRunner ──▶ BatchProducer ──▶ Loader ──▶ your trainer
              (live pipeline,    (torch tensors,   (for loop, state)
              bad samples)       one batch ahead)

- ``loader``: the public face; ``ranks``: the states of all processes in one, and whether they belong together
- ``passes``: where each ``for`` loop begins, ``position``: how far it has come
- ``batch_producer``: batches in order, on a CPU one ahead in a thread
- ``pipeline_runner``: a live pipeline that is rebuilt after a bad sample
- ``claim``: one pipeline belongs to one loader
- ``epoch``: where an epoch ends; ``dataset``: what is read, by the names of PyTorch's DataLoader
- ``saver``: takes and restores a state; ``state``: what it holds; ``mixes``: switched on and off
- ``to_torch``: DALI's outputs as tensors; ``finish``: outputs that ``FusedMix`` makes tensors of
"""

from dali_cutmix.loader.loader import Loader
from dali_cutmix.loader.ranks import AllRanks, check_ranks

__all__ = ["AllRanks", "Loader", "check_ranks"]

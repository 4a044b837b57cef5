"""AllRanks: the states of all processes in one, for trainers that write down only what the first one gives."""

from collections.abc import Iterator
from typing import Any

import torch.distributed as dist

from dali_cutmix.loader.loader import Batch, Loader


class AllRanks:
    """A loader whose state holds that of every rank, each restored to its own; for Lightning and Accelerate.

    Args:
        loader: this process's.
    """

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.loader)

    def state_dict(self) -> dict[str, Any]:
        """The states of all ranks; to be called on all of them, and gathered by ``torch.distributed`` where it runs."""
        states = [self.loader.state_dict()]
        if dist.is_initialized():
            states *= dist.get_world_size()
            dist.all_gather_object(states, states[0])
        return {"ranks": states}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue each rank where it stood.

        Raises:
            ValueError: the state is of another number of ranks, or does not fit the loader.
        """
        rank, world_size = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        states = saved.get("ranks") if isinstance(saved, dict) else None
        if not isinstance(states, list):
            raise ValueError("load_state_dict: this is not a state of AllRanks; give what its state_dict() returned.")
        if len(states) != world_size:
            raise ValueError(
                f"load_state_dict: the state was saved by {len(states)} processes, here are {world_size}; continue "
                "with as many."
            )
        self.loader.load_state_dict(states[rank])

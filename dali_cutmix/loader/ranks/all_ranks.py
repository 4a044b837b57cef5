"""AllRanks: the states of all processes in one, for trainers that save only the first process's state."""

from collections.abc import Iterator
from typing import Any

import torch.distributed as dist

from dali_cutmix.loader.batch_producer import Batch
from dali_cutmix.loader.loader import Loader
from dali_cutmix.loader.state_form import check_form


class AllRanks:
    """A loader whose state holds the states of all ranks, and gives each rank its own back.

    For trainers such as Lightning and Accelerate, which save only the state of rank 0.

        rank 0   state_dict ─┐                                     ┌─ load_state_dict   rank 0
        rank 1   state_dict ─┴─▶ {"ranks": [state 0, state 1]} ────┴─ load_state_dict   rank 1

    All else that a loader has, it has too: ``num_samples``, ``dataset``, ``set_epoch``, …, and ``mixup_enabled``, which
    may be set.

    Args:
        loader: the loader of this process.

    Example:
        >>> @pipeline_def(**dc.pipeline_options(batch_size=4, device="cpu"))
        ... def graph():
        ...     jpegs, labels = dc.read_folder("photos")
        ...     return dc.random_resized_crop(jpegs, 64), labels
        >>> loader = dc.AllRanks(dc.Loader(graph()))
        >>> images, labels = next(iter(loader))
        >>> state = loader.state_dict()
        >>> len(state["ranks"])
        1
        >>> loader.load_state_dict(state)
        >>> loader.batch_size, len(loader.dataset)
        (4, 16)
    """

    loader: Loader

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def __getattr__(self, name: str) -> Any:
        if not self._passes_on(name):
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}, and neither has its Loader"
            )
        return getattr(self.loader, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "loader":
            super().__setattr__(name, value)
        elif self._passes_on(name):
            setattr(self.loader, name, value)
        else:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r} to set, and neither has its Loader"
            )

    @staticmethod
    def _passes_on(name: str) -> bool:
        return not name.startswith("_") and hasattr(Loader, name)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.loader)

    def state_dict(self) -> dict[str, Any]:
        """The states of all ranks, gathered by ``torch.distributed`` if it is initialized; call it on all ranks."""
        states = [self.loader.state_dict()]
        if dist.is_initialized():
            states *= dist.get_world_size()
            dist.all_gather_object(states, states[0])
        return {"ranks": states}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue each rank where it was.

        Raises:
            ValueError: the state has another number of ranks, is damaged, or does not fit the loader.
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
        for of_rank, state in enumerate(states):  # of all: no rank goes on while another one refuses its own
            try:
                check_form(state)
            except ValueError as error:
                raise ValueError(f"{error} It is that of rank {of_rank}.") from error
        self.loader.load_state_dict(states[rank])

"""Processes of a run, one or several (``torchrun``): rank, device, and sums over all processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Ranks:
    """This process among all processes of the run.

    Example, a single process::

        >>> ranks = Ranks(rank=0, world_size=1, device=torch.device("cpu"))
        >>> ranks.is_first, ranks.gather("mine")
        (True, ['mine'])
    """

    rank: int
    """Number of this process, from 0."""
    world_size: int
    """Number of processes."""
    device: torch.device
    """Device of this process."""

    @property
    def shard(self) -> tuple[int, int]:
        """The pair (rank, world_size), the ``shard`` option of a loader."""
        return self.rank, self.world_size

    @property
    def is_first(self) -> bool:
        """Whether this is the process that prints and writes files."""
        return self.rank == 0

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum ``tensor`` over all processes, in place."""
        if self.world_size > 1:
            dist.all_reduce(tensor)
        return tensor

    def gather(self, value: Any) -> list[Any]:
        """Collect a value from each process, in the order of their ranks."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def run_on_first(self, write: Callable[[], None]) -> None:
        """Run ``write`` on the first process while the others wait, so that none continues without a checkpoint.

        Raises:
            OSError: ``write`` raised it; all processes raise it then.
        """
        failure = None
        if self.is_first:
            try:
                write()
            except OSError as error:
                failure = error
        failure = self.gather(failure)[0]
        if failure:
            raise failure

    def broadcast_from_first(self, tensors: list[torch.Tensor]) -> None:
        """Overwrite ``tensors`` with those of the first process, in place."""
        if self.world_size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)


@contextmanager
def join_process_group(device: str) -> Iterator[Ranks]:
    """Join the process group that ``torchrun`` describes in the environment; without one, run as a single process.

    Example::

        with join_process_group("auto") as ranks:
            print(ranks.rank, ranks.world_size, ranks.device)

    Args:
        device: ``"cpu"``, ``"cuda"``, ``"cuda:N"`` (single process only) or ``"auto"``. With several processes, each
            takes the GPU of its local rank. The backend is NCCL for GPUs and gloo for CPUs.

    Raises:
        ValueError: the device is unknown or not available.
    """
    rank, world_size, local_rank = (
        int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
    )
    mine = Ranks(rank, world_size, resolve_device(device, local_rank, world_size))
    if mine.device.type == "cuda":
        torch.cuda.set_device(mine.device)
    if world_size > 1:
        dist.init_process_group("nccl" if mine.device.type == "cuda" else "gloo")
    try:
        yield mine
    finally:
        if world_size > 1:
            dist.destroy_process_group()


def resolve_device(device: str, local_rank: int, world_size: int) -> torch.device:
    """The device that ``--device`` means for this process.

    Raises:
        ValueError: see `join_process_group`.
    """
    allowed = "allowed are cpu, cuda, cuda:N and auto"
    name, _, number = device.partition(":")
    if name not in ("cpu", "cuda", "auto") or (number and (name != "cuda" or not number.isdecimal())):
        raise ValueError(f"--device {device!r} given; {allowed}.")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and count == 0):
        return torch.device("cpu")
    if number and world_size > 1:
        raise ValueError(
            f"--device {device} given with {world_size} processes; each takes the GPU of its local rank: "
            "give --device cuda."
        )
    index = int(number) if number else local_rank
    if index >= count:
        found = f"PyTorch sees {count} GPU{'s' * (count != 1)}"
        raise ValueError(f"--device {device} needs GPU {index}, but {found}; {allowed}, for example --device cpu.")
    return torch.device("cuda", index)

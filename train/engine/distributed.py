"""Processes of a run, one or several (``torchrun``): rank, device, and sums over all processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

import dali_cutmix as dc
from train.engine.meeting import Meeting
from train.engine.watch import TIMEOUT

MARGIN = 60.0
"""Seconds by which a collective's own timeout is longer than that of the watch."""


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
    meeting: Meeting = field(default_factory=Meeting, repr=False, compare=False)
    """The connection to the others that is there when a collective hangs."""

    @property
    def shard(self) -> tuple[int, int]:
        """The pair (rank, world_size), the ``shard`` option of a loader."""
        return self.rank, self.world_size

    @property
    def is_first(self) -> bool:
        """Whether this is the process that prints and writes files."""
        return self.rank == 0

    def enter(self, doing: str, waits: bool = False) -> None:
        """Say what this process does now, for messages about a process for which the others wait.

        Args:
            doing: in words, such as "in step 17"; the same on all processes.
            waits: whether it may wait for the others meanwhile.
        """
        self.meeting.peers.enter(doing, waits)

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum ``tensor`` over all processes, in place."""
        if self.world_size > 1:
            with self.meeting.peers.waiting():
                dist.all_reduce(tensor)
        return tensor

    def gather(self, value: Any) -> list[Any]:
        """Collect a value from each process, in the order of their ranks."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        with self.meeting.peers.waiting():
            dist.all_gather_object(values, value)
        return values

    def check_same(self, loaders: Mapping[str, dc.Loader], also: Mapping[str, object] | None = None) -> None:
        """Compare loaders and other values on all processes, before any of them waits for a step of another one.

        Args:
            loaders: by name.
            also: further values by name.

        Raises:
            ValueError: they differ; the message names the processes and the values.
        """
        if self.world_size > 1:
            with self.meeting.peers.waiting():
                dc.check_ranks(loaders, also=also)

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
            with self.meeting.peers.waiting():
                for tensor in tensors:
                    dist.broadcast(tensor, src=0)


@contextmanager
def join_process_group(device: str, timeout: float = TIMEOUT, meeting: Meeting | None = None) -> Iterator[Ranks]:
    """Join the process group that ``torchrun`` describes in the environment; without one, run as a single process.

    Example::

        with join_process_group("auto") as ranks:
            print(ranks.rank, ranks.world_size, ranks.device)

    Args:
        device: ``"cpu"``, ``"cuda"``, ``"cuda:N"`` (single process only) or ``"auto"``. With several processes, each
            takes the GPU of its local rank. The backend is NCCL for GPUs and gloo for CPUs.
        timeout: seconds that a process waits for another one before all end.
        meeting: where the processes have met; by default they meet now.

    Raises:
        ValueError: the device is unknown or not available.
        OSError: the other processes cannot be reached.
    """
    with ExitStack() as stack:
        here = meeting or stack.enter_context(Meeting())
        here.set_timeout(timeout)
        rank, world_size = here.peers.rank, here.peers.world_size
        device_here = resolve_device(device, int(os.environ.get("LOCAL_RANK", 0)), world_size)
        if device_here.type == "cuda":
            torch.cuda.set_device(device_here)
        if world_size > 1:
            # The watch names who is missing; the group's own timeout, which does not, is for when that fails.
            backend = "nccl" if device_here.type == "cuda" else "gloo"
            with here.peers.waiting():
                dist.init_process_group(backend, timeout=timedelta(seconds=timeout + MARGIN))
        yield Ranks(rank, world_size, device_here, here)
        if world_size > 1:
            dist.destroy_process_group()  # not after an error: with a rank lost it may hang, and the process ends


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

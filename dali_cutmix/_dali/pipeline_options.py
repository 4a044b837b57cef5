"""Options of a pipeline: device, threads, prefetch, and a different seed for each rank."""

import os
from typing import Any

import numpy as np
import torch

from dali_cutmix.utils import check_seed, check_shard, check_whole

_MOST = 2**31 - 1  # DALI's numbers have 32 bits


def _device_id(device: str | torch.device) -> int | None:
    """Number of the GPU, None for the CPU."""
    name = str(device)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.cuda.current_device() if gpus else None
    if name in ("cpu", "cpu:0"):
        return None
    kind, _, number = name.partition(":")
    if kind != "cuda" or not (number or "0").isdigit():
        raise ValueError(f"device={name!r} given; allowed are 'cpu', 'cuda:0', 'cuda:1', … and 'auto'.")
    index = int(number) if number else torch.cuda.current_device() if gpus else 0
    if index >= gpus:
        have = f"GPUs 0 to {gpus - 1} are there" if gpus else "PyTorch finds no GPU here (torch.cuda.is_available())"
        raise ValueError(f"device={name!r} given, but {have}; use another device, 'cpu' or 'auto'.")
    return index


def _num_threads() -> int:
    """The cores of this process, divided among the processes that torchrun started on this machine."""
    cores = len(os.sched_getaffinity(0))
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def pipeline_options(
    batch_size: int,
    *,
    device: str | torch.device = "auto",
    num_threads: int | None = None,
    prefetch: int = 2,
    seed: int = 0,
    shard: tuple[int, int] = (0, 1),
) -> dict[str, Any]:
    """Make the arguments for a function decorated with ``@pipeline_def``.

    Args:
        batch_size: samples in a batch of this rank.
        device: ``"cpu"``, ``"cuda:N"``, or ``"auto"``: the current GPU, or the CPU if there is none.
        num_threads: threads of the decoder; by default the cores of this process (with torchrun, its part of them).
        prefetch: number of batches that are prepared ahead.
        seed: seed of all random numbers except the order of the samples.
        shard: (rank, world_size); each rank draws different numbers.

    Raises:
        ValueError: an invalid argument, or there is no such GPU.

    Example:
        >>> options = dc.pipeline_options(batch_size=4, device="cpu", num_threads=2, shard=(0, 2))
        >>> sorted(options)
        ['batch_size', 'device_id', 'num_threads', 'prefetch_queue_depth', 'seed']
        >>> @pipeline_def(**options)
        ... def graph():
        ...     jpegs, labels = dc.read_folder("photos", shard=(0, 2))
        ...     return dc.random_resized_crop(jpegs, 64), labels
    """
    rank, _ = check_shard(shard)
    return {
        "batch_size": check_whole("batch_size", batch_size, most=_MOST),
        "device_id": _device_id(device),
        "num_threads": check_whole("num_threads", _num_threads() if num_threads is None else num_threads, most=_MOST),
        "prefetch_queue_depth": check_whole("prefetch", prefetch, most=_MOST),
        "seed": int(np.random.SeedSequence([check_seed(seed), rank]).generate_state(1)[0] >> 1),
    }

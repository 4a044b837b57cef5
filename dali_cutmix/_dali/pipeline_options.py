"""Where and how a pipeline runs: device, threads, prefetch, and a seed of its own for each rank."""

import os
from typing import Any

import numpy as np
import torch

from dali_cutmix.utils import check_shard


def _device_id(device: str | torch.device) -> int | None:
    """None for the CPU, else the GPU's number."""
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
    """The cores of this process, shared among the processes that torchrun started on this machine."""
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
    """Arguments for a function decorated with ``@pipeline_def``.

    Args:
        batch_size: samples in a batch of this rank.
        device: ``"cpu"``, ``"cuda:N"``, or ``"auto"``: the current GPU, the CPU where there is none.
        num_threads: of the decoder; by default this process's share of the cores.
        prefetch: batches that are prepared ahead.
        seed: of every random draw but the order of the samples.
        shard: (rank, world_size); each rank draws numbers of its own.

    Raises:
        ValueError: an unknown device, a GPU that is not there, a number that is too small.
    """
    check_shard(shard)
    num_threads = _num_threads() if num_threads is None else num_threads
    for name, value in {"batch_size": batch_size, "num_threads": num_threads, "prefetch": prefetch}.items():
        if not (isinstance(value, int) and value >= 1):
            raise ValueError(f"{name}={value!r} given; allowed is a whole number of at least 1.")
    if not (isinstance(seed, int) and 0 <= seed < 2**32):
        raise ValueError(f"seed={seed!r} given; allowed is a whole number from 0 to 2**32 - 1.")
    return {
        "batch_size": batch_size,
        "device_id": _device_id(device),
        "num_threads": num_threads,
        "prefetch_queue_depth": prefetch,
        "seed": int(np.random.SeedSequence([seed, shard[0]]).generate_state(1)[0] >> 1),
    }

"""Arguments that the loaders of all tasks have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from train.config import RunConfig
from train.engine import Ranks


def loader_arguments(config: RunConfig, ranks: Ranks) -> dict[str, Any]:
    """Arguments of any loader: batch size, device, shard, and the format of the images."""
    return {
        "batch_size": batch_size_per_process(config.batch_size, ranks),
        "device": str(ranks.device),
        "shard": ranks.shard,
        "num_threads": config.num_threads,
        "channels_last": config.channels_last,
        "mean": config.mean,
        "std": config.std,
        "retry": config.retry,
    }


def training_arguments(config: RunConfig, ranks: Ranks, folder: Path) -> dict[str, Any]:
    """Arguments of any training loader, including those of `loader_arguments`.

    Args:
        config: the run's configuration.
        ranks: this process among all.
        folder: the run's folder, for the list of bad files.
    """
    return {
        "seed": config.seed,
        "flip": config.flip,
        "on_error": config.on_error,
        "max_bad": config.max_bad,
        "bad_log": folder / "bad_files.jsonl",
        **loader_arguments(config, ranks),
    }


def batch_size_per_process(batch_size: int, ranks: Ranks) -> int:
    """Number of images per batch on each process, from that over all processes.

    Raises:
        ValueError: the batch cannot be divided equally.
    """
    size, rest = divmod(batch_size, ranks.world_size)
    if rest:
        raise ValueError(
            f"--batch-size {batch_size} is for all processes together and cannot be divided equally among "
            f"{ranks.world_size}; give a multiple of {ranks.world_size}."
        )
    return size

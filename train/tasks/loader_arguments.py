"""What the loaders of all tasks are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from train.config import RunConfig
from train.engine import Ranks


def loader_arguments(config: RunConfig, ranks: Ranks) -> dict[str, Any]:
    """Of any loader: how many images, where it runs, and how pixels come out."""
    return {
        "batch_size": batch_size_per_process(config.batch_size, ranks),
        "device": str(ranks.device),
        "shard": ranks.shard,
        "num_threads": config.num_threads,
        "channels_last": config.channels_last,
        "mean": config.mean,
        "std": config.std,
    }


def training_arguments(config: RunConfig, ranks: Ranks, folder: Path) -> dict[str, Any]:
    """Of any loader for training, those of `loader_arguments` among them.

    Args:
        folder: of the run, for the list of bad files.
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
    """This process's part of a global batch.

    Raises:
        ValueError: the batch cannot be divided equally.
    """
    share, rest = divmod(batch_size, ranks.world_size)
    if rest:
        raise ValueError(
            f"--batch-size {batch_size} is for all processes together and cannot be divided equally among "
            f"{ranks.world_size}; give a multiple of {ranks.world_size}."
        )
    return share

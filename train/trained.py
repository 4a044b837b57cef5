"""A trained model: a checkpoint opened for an evaluator."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

import dali_cutmix as dc
from pipelines import imagenet
from train import classification, models
from train.checkpoint import Checkpoint, find
from train.config import Config
from train.distributed import Ranks


@dataclass(frozen=True)
class Trained:
    """What an evaluator needs of a run."""

    path: Path
    """The checkpoint's file."""
    checkpoint: Checkpoint
    config: Config
    """Of the training, with the evaluator's batch size and threads."""
    model: nn.Module
    """In evaluation mode, on the process's device."""
    weights: str
    """Which ones: "model" or "ema"."""


class Asked(Protocol):
    """What all evaluators' options say of the checkpoint."""

    @property
    def checkpoint(self) -> Path: ...  # noqa: D102
    @property
    def weights(self) -> str: ...  # noqa: D102
    @property
    def batch_size(self) -> int | None: ...  # noqa: D102
    @property
    def num_threads(self) -> int | None: ...  # noqa: D102


def open_trained(asked: Asked, ranks: Ranks) -> Trained:
    """Load a checkpoint, or a run folder's last one.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is none, or does not fit this version's models.
    """
    path = find(asked.checkpoint)
    checkpoint = Checkpoint.load(path)
    config = Config.from_dict(checkpoint.config)
    batch_size = config.batch_size if asked.batch_size is None else asked.batch_size
    config = dataclasses.replace(config, num_threads=asked.num_threads, batch_size=batch_size)
    model, weights = load_model(checkpoint, path, asked.weights)
    if config.channels_last:
        model = model.to(memory_format=torch.channels_last)
    return Trained(path, checkpoint, config, model.to(ranks.device).eval(), weights)


def load_model(checkpoint: Checkpoint, path: Path, weights: str) -> tuple[nn.Module, str]:
    """The checkpoint's model, on the CPU, and which of its weights it carries, "model" or "ema".

    Raises:
        ValueError: it has no such weights, or they do not fit the model that this version builds.
    """
    if weights == "auto":
        weights = "ema" if checkpoint.ema else "model"
    state = checkpoint.ema if weights == "ema" else checkpoint.model
    if state is None:
        raise ValueError(f"{path} has no averaged weights (it was trained without --ema); give --weights model.")
    name = checkpoint.config["model"]
    model = models.build(name, len(checkpoint.classes))
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path}: its weights do not fit the model {name!r}: {error}") from error
    return model, weights


def val_folder(config: Config, data: Path | None) -> Path:
    """The folder of classes that ``--data`` means."""
    if data is None:
        return classification.data_folder(config) / "val"
    return data / "val" if (data / "val").is_dir() else data


def val_images(trained: Trained, samples: Sequence[tuple[Path, int]], ranks: Ranks) -> dc.Loader:
    """Listed images and labels as validation sees them, in the list's order, every one once over all processes.

    Raises:
        ValueError: there are fewer images than processes.
    """
    if len(samples) < ranks.world_size:
        where = samples[0][0].parent
        raise ValueError(f"{where}: {len(samples)} images for {ranks.world_size} processes; start fewer.")
    return imagenet.val(
        partial(dc.read_files, samples),
        batch_size=classification.share_of_batch(trained.config.batch_size, ranks),
        size=trained.config.crop,
        resize=trained.config.val_resize,
        device=str(ranks.device),
        shard=ranks.shard,
        num_threads=trained.config.num_threads,
        channels_last=trained.config.channels_last,
    )

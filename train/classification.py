"""The task: which batches, which loss, which metrics. The loop knows nothing of these."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import dali_cutmix as dc
from pipelines import cifar, cub, imagenet
from train.config import Config
from train.data import Split, open_split
from train.distributed import Ranks


def train_loader(config: Config, ranks: Ranks, folder: Path | None = None) -> dc.Loader:
    """Mixed training batches of this process.

    Args:
        folder: of the run, for the list of bad files; the current one if not given.
    """
    arguments: dict[str, Any] = {
        "batch_size": share_of_batch(config.batch_size, ranks),
        "size": config.size,
        "mix": config.policy(),
        "targets": config.targets,
        "seed": config.seed,
        "flip": config.flip,
        "on_error": config.on_error,
        "max_bad": config.max_bad,
        "bad_log": (folder or Path()) / "bad_files.jsonl",
    }
    read = open_split(config.data, "train").read
    match config.augment:
        case "resized-crop":
            return imagenet.train(read, scale=config.scale, ratio=config.ratio, **arguments, **_output(config, ranks))
        case "stretch-crop":
            return cub.train(read, resize=config.val_resize, **arguments, **_output(config, ranks))
        case _:
            return cifar.train(read, padding=config.padding, **arguments, **_output(config, ranks))


def val_loader(config: Config, ranks: Ranks, split: Split | None = None) -> dc.Loader:
    """Images as validation sees them, every one once over all processes.

    Args:
        split: what to read; the run's own validation part if not given.
    """
    return imagenet.val(
        (split or open_split(config.data, "val")).read,
        batch_size=share_of_batch(config.batch_size, ranks),
        size=config.crop,
        resize=config.val_resize,
        stretch=config.stretches,
        **_output(config, ranks),
    )


def _output(config: Config, ranks: Ranks) -> dict[str, Any]:
    """Of any loader: where it runs, and how pixels come out."""
    return {
        "device": str(ranks.device),
        "shard": ranks.shard,
        "num_threads": config.num_threads,
        "channels_last": config.channels_last,
        "mean": config.mean,
        "std": config.std,
    }


def share_of_batch(batch_size: int, ranks: Ranks) -> int:
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


def check_classes(expected: Sequence[str], found: Sequence[str], where: str) -> None:
    """Refuse data whose labels mean other classes than a model's outputs.

    Args:
        expected: names of the model's classes, or of the training data's.
        found: names of the classes in ``where``.

    Raises:
        ValueError: they differ; the message names how.
    """
    if len(expected) != len(found):
        raise ValueError(
            f"{where} has {len(found)} classes, the model {len(expected)}; give the data (or the checkpoint) "
            "that belongs to it."
        )
    for label, (theirs, ours) in enumerate(zip(expected, found, strict=True)):
        if theirs != ours:
            raise ValueError(
                f"{where}: class {label} is {ours!r}, in the model it is {theirs!r}; its classes must have "
                "the names that the model was trained with."
            )


def loss(config: Config, logits: Tensor, targets: list[Tensor]) -> Tensor:
    """Cross entropy with the mixed targets, dense or as pairs, in float32; a scalar."""
    if config.targets == "dense":
        (shares,) = targets
        return dc.soft_cross_entropy(logits.float(), shares, config.label_smoothing)
    labels, lam = targets
    return dc.pair_cross_entropy(logits.float(), labels, lam, config.label_smoothing)


@torch.inference_mode()
def evaluate(model: nn.Module, loader: dc.Loader, ranks: Ranks, amp: bool = False) -> dict[str, float]:
    """Loss, top-1 and top-5 over the whole set, the same whatever the number of processes.

    The loss is computed in float64; sums and counts are added up over batches and processes and divided once:
    a mean of means would weigh the images of a small last batch more. The host waits for the device once, at
    the end.

    Returns:
        ``val_loss`` (mean cross entropy), ``val_top1`` and ``val_top5`` (percent; of K < 5 classes, top-K).
    """
    model.eval()
    sums = torch.zeros(4, dtype=torch.float64, device=ranks.device)  # images, loss, top-1, top-5
    for images, labels in loader:
        if len(labels) == 0:  # a process whose shard ended before the others'
            continue
        with torch.autocast(ranks.device.type, torch.bfloat16, enabled=amp):
            logits = model(images)
        logits = logits.double()
        best = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
        sums[0] += len(labels)
        sums[1] += nn.functional.cross_entropy(logits, labels, reduction="sum")
        sums[2] += best[:, 0].sum()
        sums[3] += best.sum()
    images, loss_sum, top1, top5 = ranks.sum(sums).tolist()
    return {"val_loss": loss_sum / images, "val_top1": 100 * top1 / images, "val_top5": 100 * top5 / images}

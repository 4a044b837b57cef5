"""Classification: batches, loss and metrics of the task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import dali_cutmix as dc
from pipelines import cifar, cub, imagenet
from train.config import Config
from train.data import DataSplit, open_split
from train.engine import Ranks, Row
from train.models import classifiers
from train.tasks.initial_weights import RANDOM, load_all_but_last_layer, report_initial_weights
from train.tasks.loader_arguments import loader_arguments, training_arguments


class Classification:
    """The task of a classifier; see `train.engine.task.Task`.

    Args:
        folder: of the run, for the list of bad files.

    Raises:
        FileNotFoundError, ValueError: the data are missing, or not what they should be.
    """

    metrics: tuple[str, ...] = ("val_loss", "val_top1", "val_top5")
    best = "val_top1"
    fixed_shapes = True

    def __init__(self, config: Config, ranks: Ranks, folder: Path) -> None:
        self._config, self._ranks = config, ranks
        self.origin = RANDOM
        self.loader = train_loader(config, ranks, folder)
        self.val_loader = val_loader(config, ranks)
        self.classes = self.loader.classes
        check_classes(self.classes, self.val_loader.classes, open_split(config.data, "val").name)

    def model(self) -> nn.Module:
        """The classifier, from ``--init`` or at random."""
        model = classifiers.build(self._config.model, self.loader.num_classes)
        if self._config.init and not self._config.resume:
            self.origin = report_initial_weights(load_all_but_last_layer(model, self._config.init), self._ranks)
        return model

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """All parameters, or the last layer's apart."""
        return parameter_groups(model, self._config.last_layer_lr)

    def loss(self, forward: Callable[..., Any], batch: list[Tensor]) -> Tensor:
        """Cross entropy with the mixed targets."""
        images, *targets = batch
        return loss(self._config, forward(images), targets)

    def evaluate(self, model: nn.Module) -> Row:
        """Loss, top-1 and top-5."""
        return evaluate(model, self.val_loader, self._ranks, self._config.amp)

    def describe(self, row: Row) -> str:
        """In one line."""
        return f"val loss {row['val_loss']:.3f}  val top-1 {row['val_top1']:.2f} %"

    def headline(self, row: Row) -> str:
        """Top-1."""
        return f"validation top-1 {row['val_top1']:.2f} %"

    def check_classes(self, saved: list[str]) -> None:
        """Names of the class folders."""
        check_classes(saved, self.classes, open_split(self._config.data, "train").name)


def parameter_groups(model: nn.Module, last_layer_lr: float) -> list[dict[str, Any]]:
    """For the optimizer: all parameters, or the last layer's apart, with its ``lr_scale``."""
    if last_layer_lr == 1:
        return [{"params": list(model.parameters()), "lr_scale": 1.0}]
    last = list(classifiers.last_layer(model).parameters())
    others = [parameter for parameter in model.parameters() if all(parameter is not mine for mine in last)]
    return [{"params": others, "lr_scale": 1.0}, {"params": last, "lr_scale": last_layer_lr}]


def train_loader(config: Config, ranks: Ranks, folder: Path | None = None) -> dc.Loader:
    """Mixed training batches of this process.

    Args:
        folder: of the run, for the list of bad files; the current one if not given.
    """
    arguments = training_arguments(config, ranks, folder or Path())
    arguments |= {"size": config.size, "mix": config.policy(), "targets": config.targets}
    read = open_split(config.data, "train").read
    match config.augment:
        case "resized-crop":
            return imagenet.train(read, scale=config.scale, ratio=config.ratio, **arguments)
        case "stretch-crop":
            return cub.train(read, resize=config.val_resize, **arguments)
        case _:
            return cifar.train(read, padding=config.padding, **arguments)


def val_loader(config: Config, ranks: Ranks, split: DataSplit | None = None) -> dc.Loader:
    """Images as validation sees them, every one once over all processes.

    Args:
        split: what to read; the run's own validation part if not given.
    """
    return imagenet.val(
        (split or open_split(config.data, "val")).read,
        size=config.crop,
        resize=config.val_resize,
        stretch=config.stretches,
        **loader_arguments(config, ranks),
    )


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

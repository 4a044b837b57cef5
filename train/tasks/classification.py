"""Classification: loaders, loss and metrics of the task."""

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
    """The task of training a classifier; see `train.engine.Task` for its methods.

    Args:
        config: the run's configuration.
        ranks: this process among all.
        folder: the run's folder, for the list of bad files.

    Raises:
        FileNotFoundError, ValueError: the data are missing or wrong.
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
        """The classifier, with the weights of ``--init`` or random ones."""
        model = classifiers.build(self._config.model, self.loader.num_classes)
        if self._config.init and not self._config.resume:
            self.origin = report_initial_weights(load_all_but_last_layer(model, self._config.init), self._ranks)
        return model

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """One group of all parameters, or a second one for the last layer."""
        return parameter_groups(model, self._config.last_layer_lr)

    def loss(self, forward: Callable[..., Any], batch: list[Tensor]) -> Tensor:
        """Cross entropy between the predictions and the mixed targets."""
        images, *targets = batch
        return loss(self._config, forward(images), targets)

    def evaluate(self, model: nn.Module) -> Row:
        """Loss, top-1 and top-5."""
        return evaluate(model, self.val_loader, self._ranks, self._config.amp)

    def describe(self, row: Row) -> str:
        """Loss and top-1 in one line."""
        return f"val loss {row['val_loss']:.3f}  val top-1 {row['val_top1']:.2f} %"

    def headline(self, row: Row) -> str:
        """Top-1 accuracy in words."""
        return f"validation top-1 {row['val_top1']:.2f} %"

    def check_classes(self, saved: list[str]) -> None:
        """Compare with the names of the class folders."""
        check_classes(saved, self.classes, open_split(self._config.data, "train").name)


def parameter_groups(model: nn.Module, last_layer_lr: float) -> list[dict[str, Any]]:
    """The optimizer's parameter groups: one of all parameters, or a second one with the last layer's ``lr_scale``."""
    if last_layer_lr == 1:
        return [{"params": list(model.parameters()), "lr_scale": 1.0}]
    last = list(classifiers.last_layer(model).parameters())
    others = [parameter for parameter in model.parameters() if all(parameter is not mine for mine in last)]
    return [{"params": others, "lr_scale": 1.0}, {"params": last, "lr_scale": last_layer_lr}]


def train_loader(config: Config, ranks: Ranks, folder: Path | None = None) -> dc.Loader:
    """The loader of this process's mixed training batches.

    Args:
        config: the run's configuration.
        ranks: this process among all.
        folder: the run's folder, for the list of bad files; the working directory if not given.
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
    """The loader of validation batches, in which each image occurs once over all processes.

    Args:
        config: the run's configuration.
        ranks: this process among all.
        split: the images; the run's own validation split if not given.
    """
    return imagenet.val(
        (split or open_split(config.data, "val")).read,
        size=config.crop,
        resize=config.val_resize,
        stretch=config.stretches,
        **loader_arguments(config, ranks),
    )


def check_classes(expected: Sequence[str], found: Sequence[str], where: str) -> None:
    """Refuse data whose labels stand for other classes than the model's outputs.

    Args:
        expected: names of the classes of the model or of the training data.
        found: names of the classes in ``where``.
        where: name of the data, for the message.

    Raises:
        ValueError: they differ; the message says how.
    """
    if len(expected) != len(found):
        raise ValueError(
            f"{where} has {len(found)} classes, the model {len(expected)}; give data and a checkpoint that belong "
            "together."
        )
    for label, (theirs, ours) in enumerate(zip(expected, found, strict=True)):
        if theirs != ours:
            raise ValueError(
                f"{where}: class {label} is {ours!r}, but in the model it is {theirs!r}; the classes must have "
                "the names that the model was trained with."
            )


def loss(config: Config, logits: Tensor, targets: list[Tensor]) -> Tensor:
    """Cross entropy with mixed targets, dense ones or pairs, as a float32 scalar."""
    if config.targets == "dense":
        (dense,) = targets
        return dc.soft_cross_entropy(logits.float(), dense, config.label_smoothing)
    labels, lam = targets
    return dc.pair_cross_entropy(logits.float(), labels, lam, config.label_smoothing)


@torch.inference_mode()
def evaluate(model: nn.Module, loader: dc.Loader, ranks: Ranks, amp: bool = False) -> dict[str, float]:
    """Measure loss, top-1 and top-5 over all images; the number of processes does not change the result.

    The loss is computed in float64. Sums and counts are added up over batches and processes and divided once, since a
    mean of means would give more weight to the images of a small last batch. The host waits for the device only once,
    at the end.

    Returns:
        ``val_loss`` (mean cross entropy), ``val_top1`` and ``val_top5`` (percent; top-K for K < 5 classes).
    """
    model.eval()
    sums = torch.zeros(4, dtype=torch.float64, device=ranks.device)  # images, loss, top-1, top-5
    for images, labels in loader:
        if len(labels) == 0:  # this process's shard has fewer batches than others
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

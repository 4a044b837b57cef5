"""Recipes: plain functions that return a configuration, whose values the command line can change.

Example::

    >>> from train.recipes import RECIPES
    >>> config = RECIPES["imagenet-resnet50"]()
    >>> config.epochs, config.milestones
    (300, (75, 150, 225))
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from train.config import RunConfig
from train.recipes.classification import (
    cifar100_pyramidnet200,
    cub200_resnet50,
    cub200_vgg16gap,
    digits,
    imagenet_resnet50,
    imagenet_resnet50_fast,
    imagenet_wsol_resnet50,
    imagenet_wsol_vgg16gap,
)
from train.recipes.transfer import coco_nic, small_faster_rcnn, small_nic, small_ssd, voc_faster_rcnn, voc_ssd300

__all__ = [
    "EMBEDDED",
    "RECIPES",
    "cifar100_pyramidnet200",
    "coco_nic",
    "config_of",
    "cub200_resnet50",
    "cub200_vgg16gap",
    "digits",
    "imagenet_resnet50",
    "imagenet_resnet50_fast",
    "imagenet_wsol_resnet50",
    "imagenet_wsol_vgg16gap",
    "small_faster_rcnn",
    "small_nic",
    "small_ssd",
    "voc_faster_rcnn",
    "voc_ssd300",
]

RECIPES: dict[str, Callable[[], RunConfig]] = {
    recipe().recipe: recipe
    for recipe in (
        digits,
        imagenet_resnet50,
        imagenet_resnet50_fast,
        cifar100_pyramidnet200,
        cub200_resnet50,
        cub200_vgg16gap,
        imagenet_wsol_resnet50,
        imagenet_wsol_vgg16gap,
        voc_ssd300,
        voc_faster_rcnn,
        coco_nic,
    )
}
"""All recipes by the names that ``python -m train NAME`` takes."""

EMBEDDED: dict[str, Callable[[], RunConfig]] = {
    recipe().recipe: recipe for recipe in (small_ssd, small_faster_rcnn, small_nic)
}
"""Recipes that ``--embedded`` puts in place of those of the same name."""


def config_of(saved: dict[str, Any], path: Path | None = None) -> RunConfig:
    """The configuration saved in a checkpoint.

    Args:
        saved: `train.engine.Checkpoint.config`.
        path: the checkpoint's file, for messages.

    Raises:
        ValueError: its recipe is unknown, or an option is not allowed.
    """
    before = "the checkpoint" if path is None else f"{path}: the checkpoint"
    recipe = saved.get("recipe") if isinstance(saved, dict) else None
    if not isinstance(recipe, str) or recipe not in RECIPES:
        raise ValueError(f"{before}'s recipe {recipe!r} is unknown; this version has {', '.join(RECIPES)}.")
    try:
        return type(RECIPES[recipe]()).from_dict(saved)
    except ValueError as error:
        raise ValueError(f"{before}'s options are damaged: {error}") from error

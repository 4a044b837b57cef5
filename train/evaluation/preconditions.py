"""What an evaluation needs beside a checkpoint, checked before any work begins: image sets, boxes, class maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from train.config import Config
from train.data import find_boxes
from train.evaluation.cam import ClassMaps
from train.evaluation.ood_scores import NOISES
from train.models import classifiers


def parse_ood_sets(arguments: Sequence[str]) -> dict[str, Path]:
    """Read ``--ood NAME=DIR …``: each set's folder by its name.

    Example::

        >>> parse_ood_sets(["lsun=/data/lsun-crop"])
        {'lsun': PosixPath('/data/lsun-crop')}

    Raises:
        ValueError: an argument is not NAME=DIR, or a name is used twice.
    """
    folders: dict[str, Path] = {}
    for text in arguments:
        name, separator, folder = text.partition("=")
        if not (separator and name and folder):
            raise ValueError(f"--ood {text} given; expected NAME=DIR, such as lsun-crop=/data/lsun-crop.")
        if name in folders or name in ("in-distribution", *NOISES):
            raise ValueError(f"--ood {text} given; another set has the name {name!r}.")
        folders[name] = Path(folder)
    return folders


def localization_problem(data: Path, boxes: Path | None, config: Config) -> str:
    """Say why a classifier cannot be evaluated for localization on a folder; empty if it can.

    Args:
        data: folder of the images.
        boxes: the ``--boxes`` option; if not given, they are searched for, see `train.data.find_boxes`.
        config: configuration of the classifier's training.
    """
    if not (boxes or find_boxes(data)):
        return f"{data} has no boxes"
    try:
        ClassMaps(classifiers.build(config.model, 2).eval(), config.crop, torch.device("cpu"))
    except ValueError as error:
        return str(error)
    return ""

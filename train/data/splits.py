"""Training and validation splits of a data set, whatever its layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import dali_cutmix as dc
from dali_cutmix.ops import notes
from pipelines import cifar, cub
from train.data.digits import digits

Read = Callable[..., tuple[Any, Any]]
"""A reading verb of the library with its data: it takes options such as ``shard``, and returns encoded bytes and
labels."""


@dataclass(frozen=True)
class DataSplit:
    """One split of a data set.

    Example::

        from pipelines import imagenet

        split = open_split(None, "val")  # the embedded digits
        loader = imagenet.val(split.read, batch_size=4, size=48, resize=48)
    """

    name: str
    """Name for messages: the folder or file, and which split of it."""
    read: Read
    """The first verb of a pipeline."""


def open_split(data: Path | None, split: Literal["train", "val"]) -> DataSplit:
    """The training or validation split of ``--data``, or of the embedded digits if it is not given.

    Args:
        data: a folder with ``train`` and ``val``, each with one subfolder per class (or packed); the folder
            CUB_200_2011; an archive of CIFAR, or the folder that it unpacks to.
        split: which split.

    Raises:
        FileNotFoundError: the data set or a part of it is missing.
        ValueError: it is damaged.
    """
    if data is None:
        return _folder(digits() / split)
    if (found := _own_layout(data, split)) is not None:
        return found
    for name in ("train", "val"):
        if not (data / name).is_dir():
            raise FileNotFoundError(
                f"--data {data}: it has no folder {name}; give a folder with train and val, each with one subfolder "
                "per class, the folder CUB_200_2011, or an archive of CIFAR."
            )
    return _folder(data / split)


def open_evaluation_split(data: Path | None, trained_on: Path | None) -> DataSplit:
    """The images that an evaluator's ``--data`` stands for.

    Args:
        data: what `open_split` takes, or a folder with one subfolder per class.
        trained_on: the run's own data, whose validation split is used if ``data`` is not given.

    Raises:
        FileNotFoundError, ValueError: see `open_split`.
    """
    if data is None:
        return open_split(trained_on, "val")
    return _own_layout(data, "val") or _folder(evaluation_folder(data, None))


def evaluation_folder(data: Path | None, trained_on: Path | None) -> Path:
    """The folder that an evaluator's ``--data`` stands for: CUB_200_2011, or one with a subfolder per class.

    Args:
        data, trained_on: see `open_evaluation_split`.
    """
    given = data or trained_on or digits()
    return given / "val" if (given / "val").is_dir() else given


def listed(name: str, samples: Sequence[tuple[Path, int]]) -> DataSplit:
    """A split of single images with their labels, in the given order."""
    return DataSplit(name, partial(dc.read_files, samples))


def reordered(split: DataSplit, order: Sequence[int]) -> DataSplit:
    """The same samples in another order, a permutation of their numbers."""

    def read(**options: Any) -> tuple[Any, Any]:
        nodes = split.read(**options)
        source = notes().source
        assert source is not None
        source.reorder(order)
        return nodes

    return DataSplit(split.name, read)


def _own_layout(data: Path, split: Literal["train", "val"]) -> DataSplit | None:
    """The split of CUB-200-2011 or CIFAR; None for other data sets."""
    for is_own, read in ((cub.is_cub, cub.read), (cifar.is_cifar, cifar.read)):
        if is_own(data):
            return DataSplit(f"{data} ({split})", partial(read, data, split))
    return None


def _folder(folder: Path) -> DataSplit:
    return DataSplit(str(folder), partial(dc.read_folder, folder))

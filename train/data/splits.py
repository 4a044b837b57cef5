"""Data: what a run trains on and validates with, in whatever form a data set comes."""

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
"""A verb of the library with its data: options such as ``shard`` in, (encoded bytes, labels) out."""


@dataclass(frozen=True)
class DataSplit:
    """One part of a data set."""

    name: str
    """For messages: the folder or file, and which part of it."""
    read: Read


def open_split(data: Path | None, split: Literal["train", "val"]) -> DataSplit:
    """The training or validation part of ``--data``; of the embedded digits, built if need be, where none is given.

    Args:
        data: a folder with ``train`` and ``val``, each with one subfolder for each class (or packed); the folder
            CUB_200_2011; an archive of CIFAR, or the folder that it unpacks to.

    Raises:
        FileNotFoundError: it, or a part, is missing.
        ValueError: it is damaged.
    """
    if data is None:
        return _folder(digits() / split)
    if (found := _own_layout(data, split)) is not None:
        return found
    for name in ("train", "val"):
        if not (data / name).is_dir():
            raise FileNotFoundError(
                f"--data {data}: it has no folder {name}; wanted is a folder with train and val, each with "
                "one subfolder for each class, the folder CUB_200_2011, or an archive of CIFAR."
            )
    return _folder(data / split)


def open_evaluation_split(data: Path | None, trained_on: Path | None) -> DataSplit:
    """What an evaluator's ``--data`` means: what `open_split` takes, or a folder of classes itself.

    Args:
        trained_on: the run's own data, taken where none is given.

    Raises:
        FileNotFoundError, ValueError: see `open_split`.
    """
    if data is None:
        return open_split(trained_on, "val")
    return _own_layout(data, "val") or _folder(evaluation_folder(data, None))


def evaluation_folder(data: Path | None, trained_on: Path | None) -> Path:
    """The folder of an evaluator's ``--data``: CUB_200_2011, or one of classes; the run's own where none is given."""
    given = data or trained_on or digits()
    return given / "val" if (given / "val").is_dir() else given


def listed(name: str, samples: Sequence[tuple[Path, int]]) -> DataSplit:
    """Images one by one, with their labels, in this order."""
    return DataSplit(name, partial(dc.read_files, samples))


def reordered(split: DataSplit, order: Sequence[int]) -> DataSplit:
    """The same samples in another order, each by its number."""

    def read(**options: Any) -> tuple[Any, Any]:
        nodes = split.read(**options)
        source = notes().source
        assert source is not None
        source.reorder(order)
        return nodes

    return DataSplit(split.name, read)


def _own_layout(data: Path, split: Literal["train", "val"]) -> DataSplit | None:
    """Of a data set that is no folder of classes."""
    for is_own, read in ((cub.is_cub, cub.read), (cifar.is_cifar, cifar.read)):
        if is_own(data):
            return DataSplit(f"{data} ({split})", partial(read, data, split))
    return None


def _folder(folder: Path) -> DataSplit:
    return DataSplit(str(folder), partial(dc.read_folder, folder))

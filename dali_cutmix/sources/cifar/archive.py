"""CIFAR-10 and CIFAR-100 as they are distributed: four archives, and the folders that these unpack to."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dali_cutmix.sources.cifar.pickle import PIXELS, pickled_images, pickled_names
from dali_cutmix.sources.cifar.tar_members import tar_members
from dali_cutmix.utils import Split, read_regular

_LARGEST = 2**28  # bytes that an archive may unpack to; those of CIFAR have 186 million
SITE = "https://www.cs.toronto.edu/~kriz/cifar.html"


def _listed_names(content: bytes) -> list[str]:
    return content.decode().split("\n")


def _binary_images(label_bytes: int, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    if len(content) % (label_bytes + PIXELS):
        raise ValueError(f"{len(content)} bytes, not a multiple of {label_bytes + PIXELS}")
    rows = np.frombuffer(content, np.uint8).reshape(-1, label_bytes + PIXELS)
    return rows[:, label_bytes:], rows[:, label_bytes - 1]


@dataclass(frozen=True)
class Layout:
    """One of the four layouts."""

    archive: str
    """Name of the archive."""
    train: tuple[str, ...]
    """Files with training images."""
    val: tuple[str, ...]
    """Files with test images."""
    names: str
    """File with the names of the classes."""
    read_names: Callable[[bytes], list[str]]
    """Parses that file."""
    read_images: Callable[[bytes], tuple[np.ndarray, Any]]
    """Parses a file with images: rows of N×3072 uint8, first red, then green, then blue, and N labels."""

    @property
    def files(self) -> tuple[str, ...]:
        """All files that are read."""
        return (self.names, *self.train, *self.val)


_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
LAYOUTS = {
    "cifar-10-batches-py": Layout(
        "cifar-10-python.tar.gz",
        _BATCHES,
        ("test_batch",),
        "batches.meta",
        partial(pickled_names, "label_names"),
        partial(pickled_images, "labels"),
    ),
    "cifar-100-python": Layout(
        "cifar-100-python.tar.gz",
        ("train",),
        ("test",),
        "meta",
        partial(pickled_names, "fine_label_names"),
        partial(pickled_images, "fine_labels"),
    ),
    "cifar-10-batches-bin": Layout(
        "cifar-10-binary.tar.gz",
        tuple(f"{name}.bin" for name in _BATCHES),
        ("test_batch.bin",),
        "batches.meta.txt",
        _listed_names,
        partial(_binary_images, 1),
    ),
    "cifar-100-binary": Layout(
        "cifar-100-binary.tar.gz",
        ("train.bin",),
        ("test.bin",),
        "fine_label_names.txt",
        _listed_names,
        partial(_binary_images, 2),  # the coarse label, then the fine one
    ),
}
"""The layouts, by the name of the folder in the archive."""
_ARCHIVES = [layout.archive for layout in LAYOUTS.values()]
_EXPECTED = f"{', '.join(_ARCHIVES[:-1])} or {_ARCHIVES[-1]} from {SITE}, or the folder that one unpacks to"


def is_cifar(path: str | os.PathLike[str]) -> bool:
    """Whether a path is an archive of CIFAR or a folder that one unpacks to.

    An archive is recognized by its name or its first entry, a folder by its files.
    """
    path = Path(path)
    if path.is_dir():
        return _layout_of(path) is not None
    if path.name in _ARCHIVES or not path.is_file():
        return path.name in _ARCHIVES
    try:
        first, _ = next(tar_members(path, _LARGEST), ("", None))
    except (OSError, ValueError):
        return False
    return PurePosixPath(first).parts[:1] in [(folder,) for folder in LAYOUTS]


def _layout_of(folder: Path) -> Layout | None:
    for layout in LAYOUTS.values():
        if (folder / layout.names).is_file() and any((folder / name).is_file() for name in layout.train + layout.val):
            return layout
    return None


class Cifar:
    """The contents of an archive or its folder, in memory.

    Args:
        path: path of the archive or folder.

    Raises:
        FileNotFoundError: it, or a file in it, is missing.
        ValueError: it is damaged, or not an archive of CIFAR.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._layout, self._contents = _contents(path)
        for name in self._layout.files:
            if name not in self._contents:
                raise FileNotFoundError(f"{path}: it has no {name}; download it again from {SITE}.")
        self.classes: tuple[str, ...] = self._parsed(self._layout.names, self._names)

    def images(self, split: Split) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The images, N×32×32×3 uint8 RGB, and labels, N int64, of one file after another.

        Raises:
            ValueError: a file is damaged.
        """
        for name in {"train": self._layout.train, "val": self._layout.val}[split]:
            yield self._parsed(name, self._images)

    def _parsed(self, name: str, parse: Callable[[bytes], Any]) -> Any:
        try:
            return parse(self._contents[name])
        except Exception as error:  # damaged bytes make pickle raise exceptions of any type
            reason = str(error) or type(error).__name__
            raise ValueError(
                f"{self._path}: {name} is damaged or not a file of CIFAR ({reason}); download it again from {SITE}."
            ) from error

    def _names(self, content: bytes) -> tuple[str, ...]:
        names = tuple(name.strip() for name in self._layout.read_names(content) if name.strip())
        if not names:
            raise ValueError("it has no names")
        return names

    def _images(self, content: bytes) -> tuple[np.ndarray, np.ndarray]:
        rows, given = self._layout.read_images(content)
        labels = np.array(given)
        if not len(rows):
            raise ValueError("it has no images")
        if labels.shape != (len(rows),):
            raise ValueError(f"{len(rows)} images, {labels.size} labels")
        if labels.dtype.kind not in "iu":
            raise ValueError("its labels are not whole numbers")
        wrong = labels[(labels < 0) | (labels >= len(self.classes))]
        if wrong.size:
            raise ValueError(f"a label is {wrong[0]}; allowed are 0 to {len(self.classes) - 1}")
        return rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels.astype(np.int64)


def _contents(path: Path) -> tuple[Layout, dict[str, bytes]]:
    """The layout, and the contents of its files by name."""
    if path.is_dir():
        layout = _layout_of(path)
        if layout is not None:
            return layout, {
                name: read_regular(path / name, _LARGEST) for name in layout.files if (path / name).is_file()
            }
    elif path.exists():
        for folder, contents in _members(path).items():
            return LAYOUTS[folder], contents
    else:
        raise FileNotFoundError(f"{path}: no such file or folder; expected {_EXPECTED}.")
    raise ValueError(f"{path}: no CIFAR in it; expected {_EXPECTED}.")


def _members(path: Path) -> dict[str, dict[str, bytes]]:
    """The contents of an archive, by folder and file."""
    found: dict[str, dict[str, bytes]] = {}
    try:
        for member, read in tar_members(path, _LARGEST):
            folder, name = ("", "", *PurePosixPath(member).parts)[-2:]
            if folder in LAYOUTS and name in LAYOUTS[folder].files:
                found.setdefault(folder, {})[name] = read()
    except ValueError as error:
        raise ValueError(f"{path}: damaged or truncated ({error}); download it again from {SITE}.") from error
    return found

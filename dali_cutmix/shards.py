"""Shards: what ``python -m dali_cutmix.pack`` writes and ``read_folder`` reads.

A packed folder holds webdataset tar files (``shard-00000.tar`` with members ``00000000.jpg``, ``00000000.cls``, …),
DALI's index beside each (``shard-00000.idx``), and one manifest. Samples are numbered in the sorted order of the
folder that was packed.

DALI's own ``fn.readers.webdataset`` shuffles the order of the tar files, or samples within a window. To shuffle all
samples exactly as those of a folder, DALI's file reader draws sample numbers here, and one call for each batch
reads their bytes.
"""

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dali_cutmix.graph import Source
from dali_cutmix.manifest import MANIFEST, Manifest, finished_manifest, member, read_index

_OPEN_FILES = 256


class Shards:
    """Bytes and labels of the samples of a packed folder.

    Args:
        root: a folder with a manifest.

    Raises:
        ValueError: the folder is not packed completely, or its manifest, a shard or an index is missing or damaged.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._folder = Path(root)
        manifest = finished_manifest(self._folder)
        self.classes = tuple(manifest.classes)
        self.labels = manifest.labels
        self.digest = hashlib.sha256(manifest.to_json()).hexdigest()
        self._tars = [self._folder / name for name in manifest.shards]
        counts = list(manifest.shards.values())
        if len(self.labels) != sum(counts):
            raise ValueError(
                f"{self._folder / MANIFEST}: it lists {len(self.labels)} files, but {sum(counts)} samples in its "
                "shards; copy it again from where the shards came from, or pack into an empty folder."
            )
        indexes = [read_index(tar, count) for tar, count in zip(self._tars, counts, strict=True)]
        self._offsets, self._sizes = np.concatenate(indexes, axis=1)
        self._shard = np.repeat(np.arange(len(counts)), counts)
        self._open = lru_cache(_OPEN_FILES)(_File)

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, number: int) -> str:
        """Where a sample is: ``tar: member``."""
        return f"{self._tars[self._shard[number]]}: {member(number, 'jpg')}"

    def packed_from(self, number: int) -> str:
        """The file that a sample was, below the folder that was packed."""
        return Manifest.read(self._folder / MANIFEST).files[number]

    def jpeg(self, number: int) -> np.ndarray:
        """The encoded bytes of one sample, 1-D uint8.

        Raises:
            OSError: they cannot be read.
        """
        file, offset, size = self._place(number)
        content = np.empty(size, np.uint8)
        if os.preadv(file.descriptor, [content.data], offset) != size:
            raise OSError(f"{self.name(number)}: shorter than its index says")
        return content

    def _place(self, number: int) -> tuple["_File", int, int]:
        tar = self._tars[self._shard[number]]
        return self._open(tar), self._offsets[number].item(), self._sizes[number].item()

    def __call__(self, numbers: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """As a function for DALI: JPEGs and int64 labels of a batch of sample numbers.

        Nothing is mapped into memory: a mapped file that shrinks ends the process.
        """
        batch = [number.item() for number in numbers]
        for file, offset, size in map(self._place, batch):  # the disk works on all of them while the first is awaited
            os.posix_fadvise(file.descriptor, offset, size, os.POSIX_FADV_WILLNEED)
        return [self.jpeg(n) for n in batch], [np.array(self.labels[n]) for n in batch]


@dataclass(frozen=True)
class ShardSource(Source):
    """A source that can read its samples again, to find a bad one."""

    shards: Shards


class _File:
    """An open file, closed with the last reference to it."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


def source_of(shards: Shards, **order: Any) -> ShardSource:
    """The source of a graph that reads ``shards``; ``order`` has the shard and the seed."""
    return ShardSource(
        files=tuple(map(shards.name, range(len(shards)))),
        labels=tuple(shards.labels),
        classes=shards.classes,
        digest=shards.digest,
        shards=shards,
        **order,
    )

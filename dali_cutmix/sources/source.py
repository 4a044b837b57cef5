"""Source: where the samples of a graph come from, and how its reader gets at them."""

import hashlib
import os
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from nvidia.dali import fn, pipeline_def, types

from dali_cutmix.sources.sample_list import ListFile, Listing

READER = "reader"


class Records(Protocol):
    """Samples in larger files, by number: DALI draws the numbers, one call for each batch reads their bytes."""

    mend: str
    """What to do about a bad sample."""

    def __len__(self) -> int: ...

    def name(self, number: int) -> str:
        """Where a sample is, for errors."""

    def read(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Encoded bytes, 1-D uint8, and label, int64 scalar, of one sample."""

    def __call__(self, numbers: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The same for a batch, as a function for DALI."""


class Source:
    """A list of files or of records, the order in which they are read, and this process's shard of them.

    Args:
        samples: names and labels of files, or records.
        root: folder, or S3 bucket and prefix, that the files' names are below.
        shard: (rank, world_size).
        seed: of the shuffling; None where nothing shuffles.
        classes: their names, in the order of the labels; empty where they are not known.
        num_classes: the least number of classes that the labels need; 0 where it is not known.
        digest: of what is read.
    """

    def __init__(
        self,
        samples: Listing | Records,
        *,
        root: str = "/",
        shard: tuple[int, int] = (0, 1),
        seed: int | None = None,
        classes: tuple[str, ...] = (),
        num_classes: int = 0,
        digest: str,
    ) -> None:
        self.shard, self.seed, self.classes, self.num_classes, self.digest = shard, seed, classes, num_classes, digest
        self._root = root
        self._records = None if isinstance(samples, Listing) else samples
        self._listing = samples if isinstance(samples, Listing) else Listing.numbers(len(samples))
        self._file = ListFile(self._listing)

    def __len__(self) -> int:
        return len(self._listing)

    def name(self, number: int) -> str:
        """Path of a sample, or file and record."""
        if self._records:
            return self._records.name(self._listing.label(number))
        return os.path.join(self._root, self._listing.name(number))

    def find(self, name: str) -> list[int]:
        """Samples that are read from a file, by its path or its name below the root."""
        return [] if self._records else self._listing.find(name.removeprefix(self._root).lstrip("/"))

    @property
    def mend(self) -> str:
        """What to do about a bad sample."""
        return self._records.mend if self._records else "Remove or replace the file"

    @property
    def operators(self) -> tuple[str, ...]:
        """DALI's names, in errors, of the operators that read beside its own readers."""
        return ("PythonFunction",) if self._records else ()

    @property
    def own(self) -> range:
        """Samples that this process may put in each other's place: its shard, or all where they wander."""
        rank, world_size = self.shard if self.seed is None else (0, 1)
        return range(len(self) * rank // world_size, len(self) * (rank + 1) // world_size)

    def nodes(self) -> tuple[Any, Any]:
        """Of the graph under construction: encoded bytes (1-D uint8) and labels (int64 scalars), on the CPU."""
        encoded, label = self._reader(self._file, "/" if self._records else self._root)
        if self._records:
            outputs: Any = fn.python_function(label, function=self._records, batch_processing=True, num_outputs=2)
            return tuple(outputs)
        return encoded, fn.cast(fn.squeeze(label, axes=[0]), dtype=types.INT64)

    def _reader(self, file: ListFile, root: str) -> Any:
        shuffled = {"shuffle_after_epoch": True, "shuffle_after_epoch_seed": self.seed}
        return fn.readers.file(
            name=READER,
            file_list=file.path,
            file_root=root,
            shard_id=self.shard[0],
            num_shards=self.shard[1],
            pad_last_batch=True,
            dont_use_mmap=True,  # as fast; with mmap a file that shrinks while it is read ends the process (SIGBUS)
            **({"stick_to_shard": True} if self.seed is None else shuffled),
        )

    def numbers(self, batch_size: int) -> Any:
        """A pipeline that reads in the same order, and whose outputs are the samples' numbers."""
        file = ListFile(Listing.numbers(len(self)))

        @pipeline_def(batch_size=batch_size, num_threads=1, device_id=None, prefetch_queue_depth=1)
        def graph() -> Any:
            return self._reader(file, "/")[1]

        pipeline = graph()
        pipeline.file = file  # it is read when the pipeline is built
        return pipeline

    def substitute(self, others: dict[int, int]) -> None:
        """Let pipelines that are built from now on read other samples in the place of some, by number."""
        self._file.write(self._listing.replaced(others))

    def reorder(self, order: Sequence[int]) -> None:
        """Read the samples in another order, from now on: a permutation of their numbers.

        Raises:
            ValueError: it is none.
        """
        if sorted(order) != list(range(len(self))):
            raise ValueError(f"an order of {len(order)} numbers given; wanted is a permutation of {len(self)} samples.")
        self._listing = self._listing.replaced(dict(enumerate(order)))
        self._file.write(self._listing)
        self.digest = hashlib.sha256(f"{self.digest} {list(order)}".encode()).hexdigest()

    def encoded(self, number: int) -> np.ndarray:
        """The bytes of one sample, 1-D uint8.

        Raises:
            OSError, RuntimeError: it cannot be read.
        """
        if self._records:
            return self._records.read(self._listing.label(number))[0]
        if "://" not in self._root:
            return np.fromfile(self.name(number), np.uint8)
        return read_by_dali(self.name(number))


def read_by_dali(path: str) -> np.ndarray:
    """The bytes of a file wherever DALI can read it, 1-D uint8.

    Raises:
        RuntimeError: it cannot be read.
    """

    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def graph() -> Any:
        return fn.readers.file(files=[path], dont_use_mmap=True)[0]

    return np.array(graph().run()[0][0])


def names_below(paths: Sequence[str]) -> tuple[str, list[str]]:
    """The longest folder that all paths share, and their names below it."""
    common = os.path.commonprefix([min(paths), max(paths)])  # noqa: RUF071  (commonpath would unite s3:// to s3:/)
    base = common[: common.rfind("/") + 1]
    return base, [path[len(base) :] for path in paths]

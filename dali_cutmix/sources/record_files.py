"""RecordFiles: samples in larger files, read by number."""

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from dali_cutmix.utils import Uncopyable, refuse_compressed

_OPEN_FILES = 256


class RecordFiles(Uncopyable):
    """Byte ranges of files, one for each sample; a subclass knows what the bytes mean.

    DALI's own readers of such files shuffle the order of the files, or samples within a window. To shuffle all
    samples exactly as those of a folder, DALI's file reader draws sample numbers, and one call for each batch reads
    their bytes. Nothing is mapped into memory: a mapped file that shrinks ends the process.

    Args:
        paths: of the files.
        places: for each file, 2×n int64: offsets and sizes of its samples, in bytes.

    Raises:
        ValueError: a file is shorter than its samples need, or no file has a sample.
    """

    max_bytes: int | None = None
    """Size of the largest sample that is read."""
    fix = "Write its file again without it, or with a good one"
    """What a user can do about a bad sample."""

    def __init__(self, paths: Sequence[Path], places: Sequence[np.ndarray]) -> None:
        for path, place in zip(paths, places, strict=True):
            check_length(path, int((place[0] + place[1]).max(initial=0)))
        self.paths = list(paths)
        self._file = np.repeat(np.arange(len(self.paths)), [len(place[0]) for place in places])
        self._first = np.cumsum([0, *(len(place[0]) for place in places)])
        self._offsets, self._sizes = np.concatenate(places, axis=1)
        if not len(self):
            raise ValueError(f"{self.paths[0]}: no samples in {len(self.paths)} files; give files that have some.")
        self._open = lru_cache(_OPEN_FILES)(_File)

    def __len__(self) -> int:
        return len(self._offsets)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the files' names and of the samples' places in them."""
        found = hashlib.sha256("\0".join(path.name for path in self.paths).encode(errors="surrogateescape"))
        for array in (self._file, self._offsets, self._sizes):
            found.update(array.tobytes())
        return found.hexdigest()

    def name(self, number: int) -> str:
        """File of a sample, and which record of that file it is."""
        file = self._file[number]
        return f"{self.paths[file]}: record {number - self._first[file]}"

    def parse(self, number: int, content: np.ndarray) -> tuple[np.ndarray, int]:
        """Encoded image and label, from the bytes of one sample.

        Raises:
            ValueError: the bytes are not in the files' format.
        """
        raise NotImplementedError

    def read(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Encoded bytes, 1-D uint8, and label, int64 scalar, of one sample.

        Raises:
            OSError: the sample cannot be read, or is not in the files' format.
        """
        file, offset, size = self._place(number)
        try:
            encoded, label = self.parse(number, file.read(offset, size))
        except ValueError as error:
            raise OSError(str(error)) from error
        return encoded, np.array(label)

    def bytes_at(self, number: int, offset: int, size: int) -> np.ndarray:
        """Other bytes of the file that a sample is in, 1-D uint8."""
        return self._place(number)[0].read(offset, size)

    def _place(self, number: int) -> tuple["_File", int, int]:
        path = self.paths[self._file[number]]
        return self._open(path), self._offsets[number].item(), self._sizes[number].item()

    def __call__(self, numbers: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Read a batch, as a function for DALI: numbers → encoded images and int64 labels."""
        batch = [number.item() for number in numbers]
        for file, offset, size in map(self._place, batch):  # the disk works on all of them while the first is awaited
            os.posix_fadvise(file.descriptor, offset, size, os.POSIX_FADV_WILLNEED)
        encoded, labels = zip(*map(self.read, batch), strict=True)
        return list(encoded), list(labels)


def check_length(path: Path, end: int) -> None:
    """Refuse a file that is shorter than its samples need.

    Args:
        path: of the file.
        end: where its last sample ends, in bytes.
    """
    length = path.stat().st_size
    if length < end:
        refuse_compressed(path)
        raise ValueError(
            f"{path}: {length} bytes long, its samples need {end}: it is cut off, or its index belongs to another "
            "file. Copy both again, or remove the index (.idx): the file can be read without one."
        )


def index_lines(path: Path, maker: str) -> np.ndarray | None:
    """Read the index beside a file, as n×2 int64; None where there is no index.

    Args:
        path: of the file; its index has the same name and the ending .idx, added or in place of its own.
        maker: the tool that writes such an index, for errors.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the index is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file.")
    index = next(filter(Path.is_file, (path.with_name(f"{path.name}.idx"), path.with_suffix(".idx"))), None)
    if index is None:
        return None
    try:
        lines = np.array(index.read_bytes().split(), np.int64).reshape(-1, 2)
        if lines.min(initial=0) < 0:
            raise ValueError("a number below 0")
        return lines
    except ValueError as error:
        raise ValueError(
            f"{index}: not an index written by {maker}, or damaged ({error}); generate it again, or remove it: the "
            "file can be read without one."
        ) from error


class _File(Uncopyable):
    """An open file, closed with the last reference to it."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self, offset: int, size: int) -> np.ndarray:
        content = np.empty(size, np.uint8)
        if os.preadv(self.descriptor, [content.data], offset) != size:
            raise OSError("the file is shorter than its index says; copy it again")
        return content

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)

"""Records: samples in larger files, read by number."""

import hashlib
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

_OPEN_FILES = 256


class InFiles:
    """Byte ranges of files, one for each sample; a subclass says what is in them.

    DALI's own readers of such files shuffle the order of the files, or samples within a window. To shuffle all
    samples exactly as those of a folder, DALI's file reader draws sample numbers, and one call for each batch reads
    their bytes. Nothing is mapped into memory: a mapped file that shrinks ends the process.

    Args:
        paths: of the files.
        places: for each file, 2×n int64: offsets and sizes of its samples, in bytes.
    """

    mend = "Write its file again without it, or with a good one"
    """What to do about a bad sample."""

    def __init__(self, paths: Sequence[Path], places: Sequence[np.ndarray]) -> None:
        for path, place in zip(paths, places, strict=True):
            check_length(path, int((place[0] + place[1]).max(initial=0)))
        self.paths = list(paths)
        self._file = np.repeat(np.arange(len(self.paths)), [len(place[0]) for place in places])
        self._first = np.cumsum([0, *(len(place[0]) for place in places)])
        self._offsets, self._sizes = np.concatenate(places, axis=1)
        self._open = lru_cache(_OPEN_FILES)(_File)

    def __len__(self) -> int:
        return len(self._offsets)

    @property
    def digest(self) -> str:
        """SHA-256 of the files' names and of where their samples are."""
        found = hashlib.sha256("\0".join(path.name for path in self.paths).encode(errors="surrogateescape"))
        for array in (self._file, self._offsets, self._sizes):
            found.update(array.tobytes())
        return found.hexdigest()

    def name(self, number: int) -> str:
        """File and record."""
        file = self._file[number]
        return f"{self.paths[file]}: record {number - self._first[file]}"

    def parse(self, number: int, content: np.ndarray) -> tuple[np.ndarray, int]:
        """Encoded image and label, from the bytes of one sample.

        Raises:
            ValueError: they are not what they should be.
        """
        raise NotImplementedError

    def read(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Encoded bytes, 1-D uint8, and label, int64 scalar, of one sample.

        Raises:
            OSError: they cannot be read, or are not what they should be.
        """
        file, offset, size = self._place(number)
        try:
            encoded, label = self.parse(number, file.read(offset, size))
        except ValueError as error:
            raise OSError(str(error)) from error
        return encoded, np.array(label)

    def bytes_at(self, number: int, offset: int, size: int) -> np.ndarray:
        """Other bytes of a sample's file, 1-D uint8."""
        return self._place(number)[0].read(offset, size)

    def _place(self, number: int) -> tuple["_File", int, int]:
        path = self.paths[self._file[number]]
        return self._open(path), self._offsets[number].item(), self._sizes[number].item()

    def __call__(self, numbers: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """As a function for DALI: JPEGs and int64 labels of a batch of sample numbers."""
        batch = [number.item() for number in numbers]
        for file, offset, size in map(self._place, batch):  # the disk works on all of them while the first is awaited
            os.posix_fadvise(file.descriptor, offset, size, os.POSIX_FADV_WILLNEED)
        encoded, labels = zip(*map(self.read, batch), strict=True)
        return list(encoded), list(labels)


def check_length(path: Path, end: int) -> None:
    """Refuse a file that is shorter than its samples need."""
    length = path.stat().st_size
    if length < end:
        raise ValueError(
            f"{path}: {length} bytes long, its samples need {end}: it is cut off, or its index is another's. "
            "Copy both again, or remove the index (.idx): the file is read without one, too."
        )


def index_lines(path: Path, maker: str) -> np.ndarray | None:
    """n×2 int64 from the index beside a file; None where there is none.

    Args:
        path: of the file; its index has the same name and the ending .idx, added or in place of its own.
        maker: the tool that writes such an index.

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
            f"{index}: no index of {maker}, or a damaged one ({error}); make it again, or remove it: the file is read "
            "without one, too."
        ) from error


class _File:
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

"""RecordFiles: samples in larger files, read by number."""

import errno
import hashlib
import os
import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from dali_cutmix.sources.sample_error import SampleError
from dali_cutmix.utils import (
    MAX_BYTES,
    TooLargeError,
    Uncopyable,
    check_regular,
    open_regular,
    read_regular,
    refuse_compressed,
)

MAX_INDEX_BYTES = 1 << 30
"""Size of the largest index that is read."""
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
        OSError: a file cannot be read, or is not a regular one.
        ValueError: a file is shorter than its samples need, or no file has a sample.
    """

    fix = "Write its file again without it, or with a good one"
    """What a user can do about a bad sample."""
    num_classes = 0
    """Number of classes; labels beyond are bad samples. 0 where it is unknown."""
    max_bytes = MAX_BYTES
    """Size of the largest sample that is read."""

    def __init__(self, paths: Sequence[Path], places: Sequence[np.ndarray]) -> None:
        for path, place in zip(paths, places, strict=True):
            _check_places(path, *place)
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
            SampleError: the bytes are not in the files' format.
        """
        raise NotImplementedError

    def read(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Encoded bytes, 1-D uint8, and label, int64 scalar, of one sample.

        Raises:
            OSError: the sample cannot be read.
            SampleError: it is not in the files' format, or its label is no class.
        """
        file, offset, size = self._place(number)
        encoded, label = self.parse(number, self._read(file, offset, size))
        if not 0 <= label < (self.num_classes or 2**63):
            allowed = (
                f"0 to {self.num_classes - 1} (num_classes={self.num_classes})" if self.num_classes else "0 or more"
            )
            raise SampleError(f"its label is {label}; labels are {allowed}")
        return encoded, np.array(label)

    def folder_exists(self, number: int) -> bool:
        """Whether the folder of the file of a sample is there."""
        return self.paths[self._file[number]].parent.is_dir()

    def can_open(self, number: int) -> bool:
        """Whether the file of a sample is there, and may be read."""
        try:
            os.close(open_regular(self.paths[self._file[number]]))
        except OSError:
            return False
        return True

    def bytes_at(self, number: int, offset: int, size: int) -> np.ndarray:
        """Other bytes of the file that a sample is in, 1-D uint8."""
        return self._read(self._place(number)[0], offset, size)

    def _read(self, file: "_File", offset: int, size: int) -> np.ndarray:
        if size > self.max_bytes:
            raise TooLargeError(errno.EFBIG, f"{size} bytes, more than max_bytes={self.max_bytes}")
        try:
            return file.read(offset, size)
        except OSError:
            self._open.cache_clear()  # the next try opens the file again: one on a server may be another by then
            raise

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
    found = path.stat()
    check_regular(found, path)
    if found.st_size < end:
        refuse_compressed(path)
        raise ValueError(
            f"{path}: {found.st_size} bytes long, its samples need {end}: it is cut off, or its index belongs to "
            "another file. Copy both again, or remove the index (.idx): the file can be read without one."
        )


def _check_places(path: Path, offsets: np.ndarray, sizes: np.ndarray) -> None:
    """Refuse places that are not inside a file; nothing is added up that could overflow."""
    length = path.stat().st_size
    outside = np.flatnonzero((offsets < 0) | (sizes < 0) | (offsets > length) | (sizes > length - offsets))
    if len(outside):
        at, size = int(offsets[outside[0]]), int(sizes[outside[0]])
        if at < 0 or size < 0:
            raise ValueError(f"{path}: sample {outside[0]} is at byte {at} with {size} bytes; its index is damaged.")
        check_length(path, at + size)
    else:
        check_length(path, 0)


def index_lines(path: Path, maker: str) -> np.ndarray | None:
    """Read the index beside a file, as n×2 int64; None where there is no index.

    Args:
        path: of the file; its index has the same name and the ending .idx, added or in place of its own.
        maker: the tool that writes such an index, for errors.

    Raises:
        FileNotFoundError: the file is missing.
        OSError: the index cannot be read, or has more than ``MAX_INDEX_BYTES``.
        ValueError: the index is damaged.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file.")
    index = next(filter(Path.is_file, (path.with_name(f"{path.name}.idx"), path.with_suffix(".idx"))), None)
    if index is None:
        return None
    content = read_regular(index, MAX_INDEX_BYTES)
    try:
        return whole_numbers(content, 2)
    except ValueError as error:
        raise ValueError(
            f"{index}: not an index written by {maker}, or damaged ({error}); generate it again, or remove it: the "
            "file can be read without one."
        ) from error


def whole_numbers(content: bytes, columns: int) -> np.ndarray:
    """Parse lines of whole numbers, as n×``columns`` int64.

    Raises:
        ValueError: there is anything but digits, a number beyond 64 bits, or an incomplete line.
    """
    if odd := re.search(rb"[^0-9\s]\S{,20}", content):
        raise ValueError(f"{odd[0]!r} is not a whole number of 0 or more")
    try:
        numbers = np.array(content.split(), np.int64)
    except (ValueError, OverflowError) as error:
        raise ValueError("a number beyond 64 bits") from error
    if len(numbers) % columns:
        raise ValueError(f"{len(numbers)} numbers, not {columns} in each line")
    return numbers.reshape(-1, columns)


class _File(Uncopyable):
    """An open file, closed with the last reference to it."""

    def __init__(self, path: Path) -> None:
        self.descriptor = open_regular(path)

    def read(self, offset: int, size: int) -> np.ndarray:
        content = np.empty(size, np.uint8)
        done = os.preadv(self.descriptor, [content.data], offset)
        while done < size:  # a call reads 2 GiB at most, and less from some file systems
            more = os.preadv(self.descriptor, [content.data[done:]], offset + done)
            if not more:
                raise OSError("the file is shorter than its index says; copy it again")
            done += more
        return content

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)

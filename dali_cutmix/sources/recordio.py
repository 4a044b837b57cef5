"""RecordIO: MXNet's files, as ``im2rec`` writes them: a header with the label before each encoded image."""

import os
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from numbers import Integral
from pathlib import Path

import numpy as np

from dali_cutmix.sources.record_files import RecordFiles, index_lines
from dali_cutmix.sources.sample_error import SampleError
from dali_cutmix.utils import naming, open_regular, refuse_compressed

_MAGIC = struct.pack("<I", 0xCED7230A)
_PART = struct.Struct("<4sI")  # magic number; 3 bits: which part of a record, 29 bits: its length
_IMAGE = struct.Struct("<IfQQ")  # number of labels (0: the one that follows), label, two identifiers
_LENGTH = (1 << 29) - 1
_LABEL = 1 << 24  # float32 holds every whole number up to this one


class RecordIO(RecordFiles):
    """Samples of RecordIO files; where a sample has several labels, the first is taken.

    Raises:
        ValueError: a file is cut off or in another format, or its index is damaged.
        FileNotFoundError: a file is missing.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__(paths, [_places(path) for path in paths])

    def parse(self, _: int, content: np.ndarray) -> tuple[np.ndarray, int]:
        """Image and label of one record."""
        record = _join(content.data)
        if len(record) < _IMAGE.size:
            raise SampleError("it is shorter than the header of an image")
        several, label, _, _ = _IMAGE.unpack_from(record)
        start = _IMAGE.size + 4 * several
        if start > len(record):
            raise SampleError(f"its header says {several} labels, but only {len(record) - _IMAGE.size} bytes follow")
        if several:
            (label,) = struct.unpack_from("<f", record, _IMAGE.size)
        if not label.is_integer():  # NaN and infinity are none either
            raise SampleError(f"its label is {label}; it must be a whole number")
        return np.frombuffer(record, np.uint8)[start:], int(label)


def _join(content: memoryview) -> memoryview | bytes:
    """Join the parts of a record, which was cut wherever its content holds the magic number."""
    parts, at = [], 0
    while at < len(content):
        if content[at : at + 4] != _MAGIC or at + _PART.size > len(content):
            break
        _, field = _PART.unpack_from(content, at)
        at += _PART.size
        parts.append(content[at : at + (field & _LENGTH)])
        if len(parts[-1]) != field & _LENGTH:
            break
        at += -(-(field & _LENGTH) // 4) * 4
        if field >> 29 in (0, 3):
            if content[at : at + 4] == _MAGIC:
                raise SampleError("another record follows it, which its index lacks: that one would be lost")
            return parts[0] if len(parts) == 1 else _MAGIC.join(parts)
    raise SampleError("it is not a RecordIO record, or damaged")


def _places(path: Path) -> np.ndarray:
    """Offset and size of each record, from the index beside the file or from the file itself; 2×n."""
    lines = index_lines(path, "im2rec or rec2idx")
    offsets = np.array(list(_scan(path)), np.int64) if lines is None else np.sort(lines[:, 1])
    if lines is not None and (wrong := _lost(path, offsets)):
        raise ValueError(
            f"{path}: its index {wrong}, so samples would be lost; generate it again, or remove it: the file can be "
            "read without one."
        )
    # A record behind the end of the file gets a size, so that its place is refused.
    end = max(path.stat().st_size, int(offsets.max(initial=0)))
    return np.stack([offsets, np.maximum(np.diff(offsets, append=end), 1)])


def _lost(path: Path, offsets: np.ndarray) -> str:
    """How an index loses samples, as far as can be told without reading the whole file; empty where it does not."""
    if path.stat().st_size and (not len(offsets) or offsets[0]):
        return "lacks the record at byte 0"
    if len(again := offsets[1:][np.diff(offsets) == 0]):
        return f"has byte {again[0]} twice"
    if len(offsets) and _records_follow(path, int(offsets[-1])):
        return f"ends with the record at byte {offsets[-1]}"
    return ""


def _records_follow(path: Path, at: int) -> bool:
    """Whether there are more records behind the one at ``at``; a damaged one is found when it is read."""
    try:
        return len(list(islice(_scan(path, at), 2))) > 1
    except ValueError:
        return False


def _scan(path: Path, at: int = 0) -> Iterator[int]:
    """Offset of each record from ``at`` on."""
    inside = False
    with naming(path), os.fdopen(open_regular(path), "rb") as file:
        length = os.fstat(file.fileno()).st_size
        while at < length:
            file.seek(at)
            head = file.read(_PART.size)
            if len(head) < _PART.size or head[:4] != _MAGIC:
                refuse_compressed(path)
                raise ValueError(f"{path}: not a RecordIO file, or damaged (at byte {at}); copy it again.")
            _, field = _PART.unpack(head)
            kind = field >> 29  # 0 a whole record; 1 its first part, 2 one in the middle, 3 its last
            if kind > 3 or inside != (kind in (2, 3)):
                raise ValueError(f"{path}: a part of a record without the others at byte {at}; copy it again.")
            inside = kind in (1, 2)
            if kind in (0, 1):
                yield at
            at += _PART.size + -(-(field & _LENGTH) // 4) * 4
    if at > length or inside:
        raise ValueError(f"{path}: cut off at byte {length}, its last record ends at {at} or later; copy it again.")


def write_recordio(path: Path, samples: Iterable[tuple[bytes, int]]) -> None:
    """Write samples to a RecordIO file, and its index beside it with the ending .idx, byte for byte as ``im2rec`` does.

    Args:
        samples: encoded image and label of each, in the order in which they will be read.

    Raises:
        ValueError: the format cannot hold a label or an image; incomplete files may be left behind.
        OSError: the files cannot be written; incomplete ones may be left behind.
    """
    with path.open("wb") as file, path.with_suffix(".idx").open("w") as index:
        for number, (encoded, label) in enumerate(samples):
            if not (isinstance(label, Integral) and 0 <= label <= _LABEL and len(encoded) <= _LENGTH - _IMAGE.size):
                raise ValueError(
                    f"{path}, record {number}: label {label!r} with {len(encoded)} bytes given; allowed are whole "
                    f"numbers from 0 to {_LABEL}, exact in float32, and {_LENGTH - _IMAGE.size} bytes at most."
                )
            content = _IMAGE.pack(0, label, number, 0) + encoded
            index.write(f"{number}\t{file.tell()}\n")
            file.write(_cut(content))


def _cut(content: bytes) -> bytes:
    """Encode a record; it is cut at each magic number at a multiple of four, where a record could begin."""
    cuts = [found.start() for found in re.finditer(re.escape(_MAGIC), content) if found.start() % 4 == 0]
    parts = [content[a:b] for a, b in zip([0, *(cut + 4 for cut in cuts)], [*cuts, len(content)], strict=True)]
    kinds = [1, *[2] * (len(parts) - 2), 3] if cuts else [0]
    return b"".join(
        _PART.pack(_MAGIC, kind << 29 | len(part)) + part + bytes(-len(part) % 4)
        for kind, part in zip(kinds, parts, strict=True)
    )

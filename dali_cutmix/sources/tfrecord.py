"""TFRecord: files of ``tf.train.Example`` messages, each with an encoded image and a label."""

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import google_crc32c
import numpy as np

from dali_cutmix.sources.record_files import RecordFiles, check_length, index_lines
from dali_cutmix.sources.sample_error import SampleError
from dali_cutmix.utils import fields, naming, open_regular, refuse_compressed, varint

_HEADER, _FOOTER = 12, 4  # bytes: length and its checksum, checksum of the content
_BYTES, _INT64 = 1, 3  # numbers of the fields that hold a feature's values: bytes, int64
_EMPTY = memoryview(b"")


class TFRecord(RecordFiles):
    """Samples of TFRecord files.

    Args:
        paths: of the files.
        image: name of the feature with the encoded image, bytes.
        label: name of the feature with the label, an int64.
        first_label: the label of the first class, which becomes 0.
        verify: compare the checksums of each record that is read.

    Raises:
        ValueError: a file is cut off or damaged, or its index is damaged.
        FileNotFoundError: a file is missing.
    """

    def __init__(self, paths: Sequence[Path], image: str, label: str, first_label: int, verify: bool = True) -> None:
        super().__init__(paths, [_places(path, verify) for path in paths])
        self._image, self._label, self._first_label, self._verify = image, label, first_label, verify

    def parse(self, _: int, content: np.ndarray) -> tuple[np.ndarray, int]:
        """Image and label of one message."""
        self._check(content)
        try:
            found = dict(_features(content.data[_HEADER : len(content) - _FOOTER]))
            image = self._only(found, self._image, _BYTES, "bytes")
            label = self._only(found, self._label, _INT64, "an int64")
            number = _int64(label)
        except SampleError:
            raise
        except (ValueError, IndexError) as error:
            raise SampleError(f"it is not a tf.train.Example, or damaged ({error})") from error
        if number < self._first_label:
            raise SampleError(f"its label is {number}, below first_label={self._first_label}")
        return np.frombuffer(image, np.uint8), number - self._first_label

    def _check(self, content: np.ndarray) -> None:
        """Refuse a record with another length than its place says, or with wrong checksums."""
        size = len(content) - _HEADER - _FOOTER
        length = int.from_bytes(content[:8].tobytes(), "little")
        if self._verify and size >= 0 and _masked_crc(content[:8]) != _stored(content[8:12]):
            raise SampleError("the checksum of its length is wrong: it is damaged, or its index is of another file")
        if length != size:
            raise SampleError(f"it has {length} bytes, its index says {size}: one of both is damaged")
        if self._verify and _masked_crc(content[_HEADER:-_FOOTER]) != _stored(content[-_FOOTER:]):
            raise SampleError("the checksum of its content is wrong: it is damaged")

    def _only(self, found: dict[str, memoryview], name: str, kind: int, what: str) -> memoryview:
        """The one value of a feature."""
        if name not in found:
            there = ", ".join(repr(other[:40]) for other in sorted(found)[:10]) + ", …" * (len(found) > 10)
            raise SampleError(f"it has no feature {name!r}, only {there or 'none'}")
        lists = dict(fields(found[name]))
        if lists and kind not in lists:
            raise SampleError(f"its feature {name!r} is not {what}")
        values = list(islice(_values(lists.get(kind, _EMPTY), packed=kind == _INT64), 2))
        if len(values) != 1:
            raise SampleError(f"its feature {name!r} has {'several values' if values else 'no value'}; one is expected")
        return values[0]


def _masked_crc(content: np.ndarray | bytes) -> int:
    """CRC-32C as TFRecord files hold it, rotated and with a constant added."""
    crc = google_crc32c.value(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _stored(field: np.ndarray) -> int:
    return int.from_bytes(field.tobytes(), "little")


def _places(path: Path, verify: bool) -> np.ndarray:
    """Offset and size of each record with header and footer, from the index beside it or from the file; 2×n."""
    if (lines := index_lines(path, "tfrecord2idx")) is not None:
        _check_whole(path, lines)
        return lines.T
    places: list[tuple[int, int]] = []
    at = 0
    with naming(path), os.fdopen(open_regular(path), "rb") as file:
        length = os.fstat(file.fileno()).st_size
        while at < length:
            file.seek(at)
            head = file.read(_HEADER)
            if len(head) == _HEADER and verify and _masked_crc(head[:8]) != int.from_bytes(head[8:], "little"):
                refuse_compressed(path)
                raise ValueError(
                    f"{path}: the checksum of the length of record {len(places)} is wrong (at byte {at}): the file is "
                    "damaged, or not a TFRecord file. Copy it again; verify=False reads files with other checksums."
                )
            size = _HEADER + int.from_bytes(head[:8], "little") + _FOOTER
            if size > length - at:
                check_length(path, at + size)
            places.append((at, size))
            at += size
    return np.array(places, np.int64).reshape(-1, 2).T


def _check_whole(path: Path, lines: np.ndarray) -> None:
    """Refuse an index that leaves out a part of its file, or has one twice; places outside are refused elsewhere."""
    length = path.stat().st_size
    inside = lines[lines[:, 1] <= length - lines[:, 0]]
    offsets, sizes = inside[np.argsort(inside[:, 0])].T
    begin, end = np.append(offsets, length), np.insert(offsets + sizes, 0, 0)
    if len(inside) == len(lines) and len(wrong := np.flatnonzero(begin != end)):
        what = f"ends a record at byte {end[wrong[0]]}, and begins the next at byte {begin[wrong[0]]} of {length}"
        raise ValueError(
            f"{path}: its index {what}, so samples would be lost or come twice; generate it again, or remove it: the "
            "file can be read without one."
        )


def _features(example: memoryview) -> Iterator[tuple[str, memoryview]]:
    """Name and content of each feature."""
    for features in _first_field(example):
        for entry in _first_field(features):
            parts = dict(fields(entry))
            yield bytes(parts.get(1, _EMPTY)).decode(errors="replace"), parts.get(2, _EMPTY)


def _first_field(message: memoryview) -> Iterator[memoryview]:
    """What a message holds as field 1; readers skip the fields that they do not know."""
    return (content for number, content in fields(message) if number == 1)


def _values(content: memoryview, packed: bool) -> Iterator[memoryview]:
    """The values of a feature; whole numbers may be packed into one field, which may be empty."""
    for value in _first_field(content):
        at = 0
        while packed and at < len(value):
            start = at
            _, at = varint(value, at)
            yield value[start:at]
        if not packed:
            yield value


def _int64(content: memoryview) -> int:
    value = varint(content, 0)[0] % 2**64
    return value - 2**64 * (value >= 2**63)

"""TFRecord: files of ``tf.train.Example`` messages, each with an encoded image and a label."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dali_cutmix.sources.record_files import InFiles, index_lines
from dali_cutmix.utils import varint

_HEADER, _FOOTER = 12, 4  # bytes: length and its checksum, checksum of the content


class TFRecords(InFiles):
    """Samples of TFRecord files.

    Args:
        paths: of the files.
        image: name of the feature with the encoded image, bytes.
        label: name of the feature with the label, an int64.
        first_label: the label of the first class, which becomes 0.

    Raises:
        ValueError: a file is cut off, or its index is damaged.
        FileNotFoundError: a file is missing.
    """

    def __init__(self, paths: Sequence[Path], image: str, label: str, first_label: int) -> None:
        super().__init__(paths, [_places(path) for path in paths])
        self._image, self._label, self._first_label = image, label, first_label

    def parse(self, _: int, content: np.ndarray) -> tuple[np.ndarray, int]:
        """Image and label of one message."""
        message = content.data[_HEADER : len(content) - _FOOTER]
        found = dict(_features(message))
        if lacking := [name for name in (self._image, self._label) if name not in found]:
            raise ValueError(f"it has no feature {lacking[0]!r}, only {', '.join(sorted(found))}")
        kind, label = found[self._label]
        if kind != _INT64:
            raise ValueError(f"its feature {self._label!r} is no int64")
        number = varint(label, 0)[0] - self._first_label
        if number < 0:
            raise ValueError(f"its label is {number + self._first_label}, below first_label={self._first_label}")
        return np.frombuffer(found[self._image][1], np.uint8), number


def _places(path: Path) -> np.ndarray:
    """Offset and size of each record with header and footer, from the index beside it or from the file; 2×n."""
    if (lines := index_lines(path, "tfrecord2idx")) is not None:
        return lines.T
    places, at, length = [], 0, path.stat().st_size
    with path.open("rb") as file:
        while at < length:
            file.seek(at)
            size = _HEADER + int.from_bytes(file.read(8), "little") + _FOOTER
            places.append((at, min(size, 2**62 - at)))  # of a file that is none, anything may stand there
            at += size
    return np.array(places, np.int64).reshape(-1, 2).T


# The wire format of protocol buffers: fields, each with a number, a type and a value

_INT64, _VARINT, _DELIMITED = 3, 0, 2


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of every field that has a length."""
    at = 0
    try:
        while at < len(data):
            key, at = varint(data, at)
            if key & 7 == _VARINT:
                start = at
                _, at = varint(data, at)
                yield key >> 3, data[start:at]
                continue
            if key & 7 != _DELIMITED:
                raise ValueError("it is no tf.train.Example")
            size, at = varint(data, at)
            if at + size > len(data):
                raise ValueError("it is no tf.train.Example, or a damaged one")
            yield key >> 3, data[at : at + size]
            at += size
    except IndexError as error:
        raise ValueError("it is no tf.train.Example, or a damaged one") from error


def _features(example: memoryview) -> Iterator[tuple[str, tuple[int, memoryview]]]:
    """Name of every feature, the number of its type (1 bytes, 2 float, 3 int64), and its first value."""
    for _, features in _fields(example):
        for _, entry in _fields(features):
            parts = dict(_fields(entry))
            for kind, values in _fields(parts.get(2, memoryview(b""))):
                first = next(_fields(values), None)
                if first is not None:
                    yield bytes(parts.get(1, memoryview(b""))).decode(errors="replace"), (kind, first[1])

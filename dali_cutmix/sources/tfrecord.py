"""TFRecord: files of ``tf.train.Example`` messages, each with an encoded image and a label."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dali_cutmix.sources.record_files import RecordFiles, index_lines
from dali_cutmix.utils import fields, varint

_HEADER, _FOOTER = 12, 4  # bytes: length and its checksum, checksum of the content
_INT64 = 3  # number of the field that holds a feature's values if they are int64


class TFRecord(RecordFiles):
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
        try:
            found = dict(_features(content.data[_HEADER : len(content) - _FOOTER]))
        except ValueError as error:
            raise ValueError(f"it is not a tf.train.Example, or damaged ({error})") from error
        if lacking := [name for name in (self._image, self._label) if name not in found]:
            raise ValueError(f"it has no feature {lacking[0]!r}, only {', '.join(sorted(found))}")
        kind, label = found[self._label]
        if kind != _INT64:
            raise ValueError(f"its feature {self._label!r} is not an int64")
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
            places.append((at, min(size, 2**62 - at)))  # a file in another format may have any number here
            at += size
    return np.array(places, np.int64).reshape(-1, 2).T


def _features(example: memoryview) -> Iterator[tuple[str, tuple[int, memoryview]]]:
    """Name of each feature, the number of its type (1 bytes, 2 float, 3 int64), and its first value."""
    for _, features in fields(example):
        for _, entry in fields(features):
            parts = dict(fields(entry))
            for kind, values in fields(parts.get(2, memoryview(b""))):
                first = next(fields(values), None)
                if first is not None:
                    yield bytes(parts.get(1, memoryview(b""))).decode(errors="replace"), (kind, first[1])

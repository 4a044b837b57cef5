"""Record files with one sample that is damaged in a chosen way."""

import struct
from functools import partial
from pathlib import Path

import google_crc32c

import dali_cutmix as dc
from tests.helpers.records import record, write_webdataset


def varint(value: int) -> bytes:
    """A number as protocol buffers have it; negative ones as 64 bits."""
    value %= 2**64
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F)
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def field(number: int, content: bytes) -> bytes:
    """A field with a length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(image: bytes, label: bytes) -> bytes:
    """A ``tf.train.Example``; the label is a whole Feature."""
    features = {"image/encoded": field(1, field(1, image)), "image/class/label": label}
    entries = (field(1, field(1, name.encode()) + field(2, feature)) for name, feature in features.items())
    return field(1, b"".join(entries))


def int64s(*values: int) -> bytes:
    """A Feature with packed whole numbers."""
    return field(3, field(1, b"".join(map(varint, values))))


def masked(content: bytes) -> bytes:
    """The checksum that TFRecord files hold."""
    crc = google_crc32c.value(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def framed(message: bytes) -> bytes:
    """A record of a TFRecord file."""
    length = struct.pack("<Q", len(message))
    return length + masked(length) + message + masked(message)


def tfrecord(path: Path, samples: list[tuple[bytes, int]], bad: dict[int, bytes], **options: object) -> partial:
    """A TFRecord file; ``bad`` has the label of some samples as a whole Feature."""
    messages = (example(jpeg, bad.get(i, int64s(label))) for i, (jpeg, label) in enumerate(samples))
    path.write_bytes(b"".join(map(framed, messages)))
    return partial(dc.read_tfrecord, path, **options)


def recordio(path: Path, samples: list[tuple[bytes, int]], bad: dict[int, bytes]) -> partial:
    """A RecordIO file; ``bad`` has the content of some records, header and all."""
    parts = []
    for i, (jpeg, label) in enumerate(samples):
        content = bad.get(i)
        if content is None:
            parts.append(record(jpeg, label, i))
        else:
            parts.append(struct.pack("<II", 0xCED7230A, len(content)) + content + bytes(-len(content) % 4))
    path.write_bytes(b"".join(parts))
    return partial(dc.read_recordio, path)


def webdataset(folder: Path, samples: list[tuple[bytes, int]], bad: dict[int, str]) -> partial:
    """A webdataset tar; ``bad`` has the text of some labels."""
    given = [(jpeg, bad.get(i, label)) for i, (jpeg, label) in enumerate(samples)]
    return partial(dc.read_webdataset, write_webdataset(folder, given, len(samples), index=False))

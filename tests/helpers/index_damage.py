"""Data sets of records, and random damage to their indexes, manifests, lists and headers."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.helpers.images import write_photos
from tests.helpers.packing import pack
from tests.helpers.records import write_recordio, write_tfrecord, write_webdataset

NUMBERS = [-1, 0, 1, 511, 2**31 - 1, 2**31, 2**53, 2**60, 2**63 - 1, 2**63, 2**64 - 1, 10**30, -(2**63), 1.5]
WORDS = ["nan", "inf", "-0", "x", "", "1_0", "٣", "\0", "null", "1e400", '"', "../../etc/passwd", "a" * 200_000]
BLOCK = 512  # bytes of a tar's header


class Case(NamedTuple):
    """A data set with one damaged file."""

    kind: str
    folder: str
    what: str


def write_sets(root: Path) -> list[tuple[str, Path, list[str]]]:
    """Sound data sets of eight images each: kind, folder, and the names of the files that are worth damaging."""
    photos = write_photos(root / "photos", images=8)
    paths = sorted(photos.rglob("*.jpg"))
    samples = [(path.read_bytes(), number % 3) for number, path in enumerate(paths)]
    for index in (True, False):
        write_webdataset(root / f"tars{index:d}", samples, 8, index)
        write_tfrecord(root / f"tfrecord{index:d}", samples, 8, index)
        write_recordio(root / f"recordio{index:d}", samples, index)
    assert pack(photos, root / "packed", workers=1) == 0
    shutil.copytree(photos, root / "csv")
    lines = [f"{path.relative_to(photos)},{number % 3}" for number, path in enumerate(paths)]
    (root / "csv" / "labels.csv").write_text("\n".join(["image,label", *lines, ""]))
    return [
        ("webdataset", root / "tars1", ["train-000.idx"]),
        ("webdataset", root / "tars0", ["train-000.tar"]),
        ("tfrecord", root / "tfrecord1", ["train-00000-of-00009.idx"]),
        ("tfrecord", root / "tfrecord0", ["train-00000-of-00009"]),
        ("recordio", root / "recordio1", ["train.idx"]),
        ("recordio", root / "recordio0", ["train.rec"]),
        ("folder", root / "packed", ["dali_cutmix.json", "shard-00000.idx"]),
        ("csv", root / "csv", ["labels.csv"]),
    ]


def damaged_sets(root: Path, seed: int, cases: int) -> Iterator[Case]:
    """Copies of the data sets, each with one damaged file; the same seed damages the same way."""
    rng = random.Random(seed)
    sets = write_sets(root / "sound")
    for number in range(cases):
        kind, sound, files = sets[number % len(sets)]
        folder = root / f"{number:05d}"
        shutil.copytree(sound, folder)
        file = folder / rng.choice(files)
        damage = rng.choice([*EVERYWHERE, *FORMATS.get(file.suffix, [_records])])
        file.write_bytes(damage(rng, file.read_bytes()))
        yield Case(kind, str(folder), f"{file.name}, {damage.__name__.strip('_')}")


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content))]


def _flipped(rng: random.Random, content: bytes) -> bytes:
    spoiled = bytearray(content)
    for _ in range(rng.choice([1, 1, 3, 20])):
        spoiled[rng.randrange(len(spoiled))] ^= 1 << rng.randrange(8)
    return bytes(spoiled)


def _overwritten(rng: random.Random, content: bytes) -> bytes:
    at, length = rng.randrange(len(content)), rng.choice([1, 4, 8, 40])
    filling = rng.choice([bytes(length), b"\xff" * length, rng.randbytes(length), b"9" * length, b"-" * length])
    return content[:at] + filling + content[at + length :]


def _extended(rng: random.Random, content: bytes) -> bytes:
    return content + rng.choice([content, b"\0" * 1024, b"0 0\n", rng.randbytes(100)])


def _a_word(rng: random.Random, content: bytes) -> bytes:
    """One word of a text is another number, or none."""
    words = content.split(b" ") if b" " in content else content.split(b"\n")
    words[rng.randrange(len(words))] = str(rng.choice([*NUMBERS, *WORDS])).encode(errors="replace")
    return (b" " if b" " in content else b"\n").join(words)


def _a_field(rng: random.Random, content: bytes) -> bytes:
    """One field of a line of a text is another number, or none."""
    lines = content.decode(errors="replace").splitlines()
    at = rng.randrange(len(lines))
    separator = next((mark for mark in ("\t", ",", " ") if mark in lines[at]), " ")
    fields = lines[at].split(separator)
    fields[rng.randrange(len(fields))] = str(rng.choice([*NUMBERS, *WORDS]))
    lines[at] = separator.join(fields)
    return "\n".join([*lines, ""]).encode()


def _lines(rng: random.Random, content: bytes) -> bytes:
    """A line is missing, doubled, or elsewhere."""
    lines = content.splitlines(keepends=True)
    line = lines.pop(rng.randrange(len(lines)))
    for _ in range(rng.choice([0, 1, 2])):
        lines.insert(rng.randrange(len(lines) + 1), line)
    return b"".join(lines)


def _a_value(rng: random.Random, content: bytes) -> bytes:
    """One value of a JSON object, at any depth, is of another type or out of range."""
    whole = json.loads(content)
    inside = whole
    while True:
        key = rng.choice(list(inside) if isinstance(inside, dict) else range(len(inside)))
        if not (isinstance(inside[key], dict | list) and inside[key] and rng.random() < 0.6):
            break
        inside = inside[key]
    other = [None, True, [], {}, [[]], {"a": 1}, "", "x", *NUMBERS, float("nan")]
    if isinstance(inside, dict) and rng.random() < 0.3:
        inside[rng.choice(["extra", "../x", "", "\0", key + " "])] = inside.pop(key)
    else:
        inside[key] = rng.choice(other)
    return json.dumps(whole).encode()


def _a_header(rng: random.Random, content: bytes) -> bytes:
    """A header of a tar has another size, type or name; its checksum is right."""
    spoiled = bytearray(content)
    at = BLOCK * rng.choice([i for i in range(len(content) // BLOCK) if content[i * BLOCK + 257 :][:5] == b"ustar"])
    size = rng.choice(NUMBERS[:-1])
    as_binary = (
        (1 << 95 | size % (1 << 88)).to_bytes(12, "big") if size >= 0 else (size % (1 << 96)).to_bytes(12, "big")
    )
    match rng.randrange(4):
        case 0:
            spoiled[at + 124 : at + 136] = as_binary
        case 1:
            spoiled[at + 124 : at + 136] = rng.choice([b"-0000000001\0", b"77777777777\0", b"00000000000\0", b" " * 12])
        case 2:
            spoiled[at + 156] = rng.choice(b"012356789LKSxgVMNX\0\xff")
        case 3:
            spoiled[at : at + 100] = rng.choice([b"\xff" * 100, b"/" * 100, bytes(100), b"a.jpg".ljust(100, b"\0")])
    spoiled[at + 148 : at + 156] = b" " * 8
    spoiled[at + 148 : at + 156] = b"%06o\0 " % sum(spoiled[at : at + BLOCK])
    return bytes(spoiled)


def _records(rng: random.Random, content: bytes) -> bytes:
    """The length of the first record is another number."""
    size = rng.choice(NUMBERS[:-1])
    if rng.random() < 0.5:  # RecordIO: 3 bits and 29 bits after the magic number
        return content[:4] + (size % 2**32).to_bytes(4, "little") + content[8:]
    return (size % 2**64).to_bytes(8, "little") + content[8:]


Damage = Callable[[random.Random, bytes], bytes]
EVERYWHERE: list[Damage] = [_cut, _flipped, _overwritten, _extended]
FORMATS: dict[str, list[Damage]] = {
    ".idx": [_a_word, _a_field, _lines, _a_word, _a_field],
    ".json": [_a_value] * 6,
    ".csv": [_a_field, _a_field, _lines],
    ".tar": [_a_header] * 6,
}

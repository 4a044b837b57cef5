"""Writers of webdataset, TFRecord and RecordIO files, by other people's tools where there are any."""

import struct
import subprocess
import sysconfig
from pathlib import Path

import numpy as np


def tool(name: str, *arguments: object) -> None:
    """Run one of DALI's commands, which make indexes."""
    command = [str(Path(sysconfig.get_path("scripts"), name)), *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def write_webdataset(folder: Path, samples: list[tuple[bytes, int]], per_shard: int, index: bool) -> list[Path]:
    """Tar files by the package webdataset, with DALI's index or without."""
    from webdataset import TarWriter

    folder.mkdir(parents=True, exist_ok=True)
    tars = []
    for first in range(0, len(samples), per_shard):
        tars.append(folder / f"train-{first // per_shard:03d}.tar")
        with TarWriter(str(tars[-1])) as writer:
            for i, (jpeg, label) in enumerate(samples[first : first + per_shard], first):
                writer.write({"__key__": f"class {label}/{i:05d}", "jpg": jpeg, "cls": label, "json": {"i": i}})
        if index:
            tool("wds2idx", tars[-1], tars[-1].with_suffix(".idx"))
    return tars


def write_tfrecord(folder: Path, samples: list[tuple[bytes, int]], per_file: int, index: bool) -> list[Path]:
    """TFRecord files by the package tfrecord, labels from 1 as in TensorFlow's ImageNet."""
    from tfrecord.writer import TFRecordWriter

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for first in range(0, len(samples), per_file):
        files.append(folder / f"train-{first // per_file:05d}-of-00009")
        writer = TFRecordWriter(str(files[-1]))
        for i, (jpeg, label) in enumerate(samples[first : first + per_file], first):
            size = {"image/height": (24, "int"), "image/name": (f"{i}.jpg".encode(), "byte"), "x": (0.5, "float")}
            writer.write({"image/encoded": (jpeg, "byte"), "image/class/label": (label + 1, "int")} | size)
        writer.close()
        if index:
            tool("tfrecord2idx", files[-1], files[-1].with_suffix(".idx"))
    return files


MAGIC = struct.pack("<I", 0xCED7230A)


def record(jpeg: bytes, label: float, number: int, labels: tuple[float, ...] = ()) -> bytes:
    """One record as im2rec writes it: cut where it holds the magic number at a multiple of four."""
    content = struct.pack("<IfQQ", len(labels), label, number, 0) + struct.pack(f"<{len(labels)}f", *labels) + jpeg
    cuts = [at for at in range(0, len(content) - 3, 4) if content[at : at + 4] == MAGIC]
    parts = [content[a:b] for a, b in zip([0, *(at + 4 for at in cuts)], [*cuts, len(content)], strict=True)]
    kinds = [0] if len(parts) == 1 else [1, *[2] * (len(parts) - 2), 3]
    return b"".join(
        MAGIC + struct.pack("<I", kind << 29 | len(part)) + part + bytes(-len(part) % 4)
        for kind, part in zip(kinds, parts, strict=True)
    )


def write_recordio(folder: Path, samples: list[tuple[bytes, int]], index: bool, **options: tuple) -> Path:
    """A RecordIO file in MXNet's own layout, for want of the package."""
    folder.mkdir(parents=True, exist_ok=True)
    path, lines, at = folder / "train.rec", [], 0
    with path.open("wb") as file:
        for i, (jpeg, label) in enumerate(samples):
            content = record(jpeg, label, i, **options)
            lines.append(f"{i}\t{at}\n")
            at += file.write(content)
    if index:
        path.with_suffix(".idx").write_text("".join(lines))
    return path


def by_dali(pipeline) -> list[tuple[bytes, int]]:
    """Encoded bytes and label of every sample of one batch, as DALI's own readers see them."""
    encoded, labels = pipeline.run()
    return [(np.asarray(e).tobytes(), int(np.asarray(n).ravel()[0])) for e, n in zip(encoded, labels, strict=True)]

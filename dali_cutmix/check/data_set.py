"""Open the data set that a command names, as the verbs of a graph do."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from dali_cutmix.sources import (
    LabelMember,
    PackedFolder,
    RecordFiles,
    RecordIO,
    Source,
    TFRecord,
    WebDataset,
    is_packed,
    list_folders,
    tar_extensions,
)
from dali_cutmix.utils import MAX_BYTES, check_regular, is_compressed_tar

Kind = Literal["folder", "webdataset", "tfrecord", "recordio"]
_IMAGES = ("jpg", "jpeg", "png", "webp")


class Reading(NamedTuple):
    """How the records of a data set are read: the arguments of the verb for its format; None for the default.

    Args:
        image: extensions of the image (webdataset), or the name of its feature (TFRecord).
        label: extension of the label's file (webdataset), or the name of its feature (TFRecord).
        missing: see :func:`~dali_cutmix.read_webdataset`.
        key: see :func:`~dali_cutmix.read_webdataset`.
        classes: see :func:`~dali_cutmix.read_webdataset`.
        first_label: see :func:`~dali_cutmix.read_tfrecord`.
    """

    image: Sequence[str] | None = None
    label: str | None = None
    missing: Literal["error", "skip"] | None = None
    key: Sequence[str] | None = None
    classes: Sequence[str] | None = None
    first_label: int | None = None


_OPTIONS: dict[Kind, set[str]] = {
    "folder": set(),
    "webdataset": {"image", "label", "missing", "key", "classes"},
    "tfrecord": {"image", "label", "first_label"},
    "recordio": set(),
}
"""Options of :class:`Reading` that each format has."""


def kind_of(path: Path) -> Kind:
    """Guess the format of a data set from its ending or from the files in the folder."""
    if path.is_dir():
        return "webdataset" if not is_packed(path) and _tars(path) else "folder"
    if path.suffix == ".tar" or is_compressed_tar(path):
        return "webdataset"
    return "recordio" if path.suffix == ".rec" else "tfrecord"


def _tars(folder: Path) -> list[Path]:
    """The tar files of a folder; where it holds nothing else, compressed ones, which are refused when opened."""
    entries = sorted(folder.iterdir())
    tars = [path for path in entries if path.suffix == ".tar"]
    if tars or any(path.is_dir() for path in entries):
        return tars
    return [path for path in entries if is_compressed_tar(path)]


def open_source(
    paths: Sequence[Path], kind: Kind | None = None, reading: Reading = Reading(), max_bytes: int = MAX_BYTES
) -> Source:
    """Open a data set.

    Args:
        paths: its folders or files.
        kind: its format; None to guess it.
        reading: how records are read.
        max_bytes: size of the largest file or record that is read.

    Raises:
        OSError: a path is missing, or leads to something that is neither a folder nor a regular file.
        ValueError: the data set is damaged as a whole, or in another format; or an option that its format lacks.
    """
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder.")
    kind = kind or kind_of(paths[0])
    _check_options(reading, kind)
    if kind == "folder" and len(paths) > 1 and (packed := [path for path in paths if is_packed(path)]):
        raise ValueError(f"{packed[0]}: packed by dali_cutmix.pack; give each packed folder in a command of its own.")
    if kind == "folder" and not is_packed(paths[0]):
        roots = [str(path.absolute()) for path in paths]
        samples, _ = list_folders(roots)
        return Source(samples, root=os.path.commonpath(roots), max_bytes=max_bytes)
    records = PackedFolder(paths[0]) if kind == "folder" else _records(paths, kind, reading)
    return Source(records, max_bytes=max_bytes)


def _records(paths: Sequence[Path], kind: Kind, reading: Reading) -> RecordFiles:
    files = [file.absolute() for path in paths for file in (_tars(path) if path.is_dir() else [path])]
    if not files:
        raise ValueError(f"{paths[0]}: no .tar file in this folder; give a folder with some, or another --kind.")
    for file in files:
        check_regular(file.stat(), file)
    match kind:
        case "webdataset":
            return _webdataset(files, reading)
        case "recordio":
            return RecordIO(files)
    (image,) = reading.image or ["image/encoded"]
    return TFRecord(files, image, reading.label or "image/class/label", reading.first_label or 0)


def _webdataset(files: Sequence[Path], reading: Reading) -> WebDataset:
    label = reading.label
    if label is None and not reading.key and "cls" in tar_extensions(files[0]):
        label = "cls"  # labels in other files are judged only if they are named
    if label is None and (reading.key or reading.classes):
        raise ValueError("--key or --classes given without --label; give the extension of the label's file, too.")
    member = LabelMember.of(reading.key or (), reading.classes or ())
    return WebDataset(files, reading.image or _IMAGES, label, reading.missing or "error", member)


def _check_options(reading: Reading, kind: Kind) -> None:
    given = {name for name, value in reading._asdict().items() if value is not None}
    if others := sorted(given - _OPTIONS[kind]):
        allowed = ", ".join(map(_flag, sorted(_OPTIONS[kind]))) or "none of these options"
        raise ValueError(f"{', '.join(map(_flag, others))} given for a {kind} data set, which has {allowed}.")
    if kind == "tfrecord" and reading.image is not None and len(reading.image) != 1:
        raise ValueError(f"--image given {len(reading.image)} times; a TFRecord has one feature with the image.")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"

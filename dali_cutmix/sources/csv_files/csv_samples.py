"""csv_samples: paths and labels of images from a CSV file."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dali_cutmix.sources.class_folders import EXTENSIONS
from dali_cutmix.sources.csv_files.labels import inferred, numbered
from dali_cutmix.sources.csv_files.rows import Column, Row, read_rows
from dali_cutmix.utils import (
    PathLike,
    check_name,
    check_named_classes,
    check_no_url,
)

_ENDS = '\r\n\0"'
_LOOKED_FOR = 5


@dataclass(frozen=True)
class CsvSamples:
    """The rows of a CSV file as samples.

    Args:
        paths: of the images.
        labels: of the images, from 0.
        classes: names of the classes in the order of the labels; empty where labels are numbers in the file.
    """

    paths: list[str]
    labels: list[int]
    classes: tuple[str, ...]


def csv_samples(
    path: PathLike,
    root: PathLike | None = None,
    *,
    image: Column,
    label: Column,
    suffix: str = "",
    delimiter: str | None = None,
    classes: Sequence[str] = (),
) -> CsvSamples:
    """Read a CSV file; the arguments are those of ``dc.read_csv``.

    Raises:
        FileNotFoundError: the file is missing, or none of the first images is where it should be.
        ValueError: an invalid argument, or a damaged row, which the message names by its line.
    """
    for name, value in (("image", image), ("label", label)):
        if isinstance(value, bool) or not (isinstance(value, str) or (isinstance(value, int) and value >= 0)):
            raise ValueError(f"{name}={value!r} given; allowed is the name of a column, or its number from 0.")
    if delimiter is not None and not (isinstance(delimiter, str) and len(delimiter) == 1 and delimiter not in _ENDS):
        raise ValueError(f"delimiter={delimiter!r} given; allowed is one character, such as ',' or '\\t', or None.")
    if not isinstance(suffix, str):
        raise ValueError(f"suffix={suffix!r} given; allowed is text, such as '.jpg'.")
    check_name(suffix, "suffix")
    names = check_named_classes(classes)
    rows = read_rows(Path(path), image, label, delimiter)
    folder = _folder(Path(path), root)
    paths = [_place_of(row, folder, Path(path), may_leave=root is not None) + suffix for row in rows]
    if not paths[0].startswith("s3://"):
        _check_some_exist(Path(path), rows, paths, suffix, numbered=isinstance(image, int) and isinstance(label, int))
    if names:
        return CsvSamples(paths, numbered(Path(path), rows, names), names)
    return CsvSamples(paths, *inferred(Path(path), rows))


def _folder(path: Path, root: PathLike | None) -> str:
    """The folder that images are named from, or an address on S3."""
    given = path.parent if root is None else root
    check_no_url(os.fspath(given), "root")
    return os.fspath(given) if os.fspath(given).startswith("s3://") else os.path.abspath(given)


def _place_of(row: Row, folder: str, path: Path, may_leave: bool) -> str:
    """Path or address of a row's image."""
    if "://" in row.image:
        check_no_url(row.image, f"{path}, line {row.line}")
    if row.image.startswith("s3://"):
        return row.image
    if ".." in row.image and not may_leave and os.path.normpath(row.image).split("/")[0] == "..":
        raise ValueError(
            f"{path}, line {row.line}: {row.image!r} leads out of the file's folder, {folder}; if that is meant, give "
            f"root={folder!r}, or the folder that the images are named from."
        )
    return os.path.join(folder, row.image)


def _check_some_exist(path: Path, rows: list[Row], paths: list[str], suffix: str, numbered: bool) -> None:
    """Refuse a root below which none of the first images is; a single missing image is a bad file later."""
    exist = [_exists(one) for one in paths[:_LOOKED_FOR]]
    if not any(exist):
        longer = next((ending for ending in EXTENSIONS if _exists(paths[0] + ending)), None)
        how = "give root= the folder that the images are named from, and suffix= an ending if the file leaves it out"
        if longer:
            how = f"give suffix={suffix + longer!r}: {paths[0]}{longer} is there"
        raise FileNotFoundError(f"{path}: none of its first {len(exist)} images exists, such as {paths[0]}; {how}.")
    if numbered and not exist[0]:
        image, label = rows[0].image, rows[0].label
        raise ValueError(
            f"{path}, line {rows[0].line}: {paths[0]} does not exist, while images of the next lines do. If the line "
            f"is a header, give columns by their names, image={image!r} and label={label!r}; else remove the line."
        )


def _exists(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110  (False, not an error, for text that is too long to be a name)

"""csv_samples: paths and labels of images from a CSV file."""

import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from dali_cutmix.sources.class_folders import EXTENSIONS
from dali_cutmix.sources.multi_labels import LARGEST
from dali_cutmix.utils import (
    PathLike,
    check_name,
    check_named_classes,
    check_no_url,
    read_text,
)

Column = str | int
"""Name of a column, or its number from 0."""

_DELIMITERS = ",\t; "
_ENDS = '\r\n\0"'
_WHOLE = re.compile(r"(\d+)(?:\.0*)?")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
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


class _Row(NamedTuple):
    line: int
    image: str
    label: str


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
    rows = _rows(Path(path), image, label, delimiter)
    folder = _folder(Path(path), root)
    paths = [_place_of(row, folder, Path(path), may_leave=root is not None) + suffix for row in rows]
    if not paths[0].startswith("s3://"):
        _check_some_exist(Path(path), rows, paths, suffix, numbered=isinstance(image, int) and isinstance(label, int))
    if names:
        return CsvSamples(paths, _numbered(Path(path), rows, names), names)
    return CsvSamples(paths, *_inferred(Path(path), rows))


def _folder(path: Path, root: PathLike | None) -> str:
    """The folder that images are named from, or an address on S3."""
    given = path.parent if root is None else root
    check_no_url(os.fspath(given), "root")
    return os.fspath(given) if os.fspath(given).startswith("s3://") else os.path.abspath(given)


def _place_of(row: _Row, folder: str, path: Path, may_leave: bool) -> str:
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


def _rows(path: Path, image: Column, label: Column, delimiter: str | None) -> list[_Row]:
    """Image and label of each row that is not blank, both as they stand in the file."""
    text = _text(path)
    first_line = next(filter(str.strip, text.splitlines()), "")
    separator = delimiter or next((one for one in _DELIMITERS if one in first_line.strip()), ",")
    table = _table(path, text, separator)
    line, cells = next(table, (0, []))
    if not cells:
        raise ValueError(f"{path}: it is empty; give a CSV file with a row for each image.")
    at = [_place(path, line, cells, name, value, separator) for name, value in (("image", image), ("label", label))]
    if at[0] == at[1]:
        raise ValueError(f"image={image!r} and label={label!r} given; they are two columns of {path}.")
    rows: list[_Row] = []
    seen: dict[str, _Row] = {}
    if isinstance(image, int) and isinstance(label, int):
        table = chain([(line, cells)], table)
    image_at, label_at = at
    last = max(at)
    for line, cells in table:
        if last >= len(cells):
            what, number = ("label", at[1]) if at[1] >= len(cells) else ("image", at[0])
            raise ValueError(
                f"{path}, line {line}: {len(cells)} column{'s'[: len(cells) > 1]}, but the {what} is column "
                f"{number + 1} (delimiter={separator!r}); complete the line, or remove it."
            )
        row = _Row(line, cells[image_at], cells[label_at])
        if not row.image or not row.label:
            what, column = ("label", label) if row.image else ("image", image)
            raise ValueError(f"{path}, line {line}: no {what} ({column!r} is empty); give one, or remove the line.")
        if (before := seen.setdefault(row.image, row)) is not row:
            _refuse_repeated(path, row, before)
        rows.append(row)
    if not rows:
        raise ValueError(f"{path}: no images in it; give a CSV file with a row for each image.")
    return rows


def _text(path: Path) -> str:
    check_name(os.fspath(path), "path")
    if path.is_dir():
        raise ValueError(f"{path}: a folder; give the path of a CSV file.")
    try:
        return read_text(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: no such file; give the path of a CSV file.") from error


def _table(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row that has any."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {reader.line_num}: not a row of a CSV file ({error}); close its quotation marks, or give "
            f"the file's delimiter= if that is not {delimiter!r}."
        ) from error


def _place(path: Path, line: int, cells: list[str], name: str, column: Column, delimiter: str) -> int:
    """Number of a column, by its number or by its name in the first line."""
    where = f"{path}, line {line}"
    if isinstance(column, int):
        if column >= len(cells):
            raise ValueError(
                f"{where}: column {column} given for {name}, but it has {len(cells)} columns "
                f"(delimiter={delimiter!r}); give a number from 0 to {len(cells) - 1}, or another delimiter."
            )
        return column
    if (count := cells.count(column)) > 1:
        raise ValueError(f"{where}: {count} columns are called {column!r}; give {name}= the number of one, from 0.")
    if not count:
        raise ValueError(
            f"{path}: no column {column!r} in line {line}; it has {', '.join(map(repr, cells))} "
            f"(delimiter={delimiter!r}). Give {name}= one of them, or its number from 0 where there is no header."
        )
    return cells.index(column)


def _refuse_repeated(path: Path, row: _Row, before: _Row) -> None:
    where = f"{path}, line {row.line}: {row.image!r} again"
    if row.label == before.label:
        raise ValueError(f"{where}; it is in line {before.line}. Remove one of the lines.")
    raise ValueError(
        f"{where}, with label {row.label!r}; line {before.line} says {before.label!r}. Remove one of the lines; images "
        "with several labels are read from a list, by dc.read_files."
    )


def _check_some_exist(path: Path, rows: list[_Row], paths: list[str], suffix: str, numbered: bool) -> None:
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


def _numbered(path: Path, rows: list[_Row], names: tuple[str, ...]) -> list[int]:
    """Labels by the names of the classes, or by number."""
    place = {str(number): number for number in range(len(names))} | {name: n for n, name in enumerate(names)}
    for row in rows:
        if row.label not in place:
            shown = ", ".join(map(repr, names[:5])) + ", …" * (len(names) > 5)
            raise ValueError(
                f"{path}, line {row.line}: label {row.label!r} given; allowed are the {len(names)} "
                f"name{'s'[: len(names) > 1]} in classes= ({shown}), or their numbers from 0 to {len(names) - 1}."
            )
    return [place[row.label] for row in rows]


def _inferred(path: Path, rows: list[_Row]) -> tuple[list[int], tuple[str, ...]]:
    """Labels, and names of the classes: none if the labels are whole numbers, or else those that there are, sorted."""
    numbers: dict[str, int] = {}
    names: set[str] = set()
    for row in rows:
        if row.label in numbers or row.label in names:
            continue
        number = _whole_number(path, row)
        if rows[0].label in (names if number is not None else numbers):
            raise ValueError(
                f"{path}, line {row.line}: label {row.label!r} given, but line {rows[0].line} has the "
                f"{'name' if names else 'number'} {rows[0].label!r}; labels are all whole numbers or all names. "
                "Correct it, or give classes=."
            )
        if number is None:
            names.add(row.label)
        else:
            numbers[row.label] = number
    classes = tuple(sorted(names))
    place = numbers or {name: number for number, name in enumerate(classes)}
    return [place[row.label] for row in rows], classes


def _whole_number(path: Path, row: _Row) -> int | None:
    """A label that is a whole number; None if it is a name."""
    whole = _WHOLE.fullmatch(row.label)
    if whole and len(whole[1]) <= len(str(LARGEST)) and int(whole[1]) <= LARGEST:
        return int(whole[1])
    if _NUMBER.fullmatch(row.label):
        raise ValueError(
            f"{path}, line {row.line}: label {row.label!r} given; allowed is a whole number from 0 to {LARGEST}, or a "
            "name. Correct it, or give classes=."
        )
    return None

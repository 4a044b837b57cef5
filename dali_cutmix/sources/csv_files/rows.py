"""The rows of a CSV file: image and label of each, as they stand in the file."""

import csv
import io
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from dali_cutmix.utils import check_name, read_text

Column = str | int
"""Name of a column, or its number from 0."""

_DELIMITERS = ",\t; "


class Row(NamedTuple):
    """A row that is not blank."""

    line: int
    image: str
    label: str


def read_rows(path: Path, image: Column, label: Column, delimiter: str | None) -> list[Row]:
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
    rows: list[Row] = []
    seen: dict[str, Row] = {}
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
        row = Row(line, cells[image_at], cells[label_at])
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
    check_name(str(path), "path")
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


def _refuse_repeated(path: Path, row: Row, before: Row) -> None:
    where = f"{path}, line {row.line}: {row.image!r} again"
    if row.label == before.label:
        raise ValueError(f"{where}; it is in line {before.line}. Remove one of the lines.")
    raise ValueError(
        f"{where}, with label {row.label!r}; line {before.line} says {before.label!r}. Remove one of the lines; images "
        "with several labels are read from a list, by dc.read_files."
    )

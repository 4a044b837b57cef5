"""The labels of a CSV file: numbers, or the names of classes."""

import re
from pathlib import Path

from dali_cutmix.sources.csv_files.rows import Row
from dali_cutmix.sources.multi_labels import LARGEST

_WHOLE = re.compile(r"(\d+)(?:\.0*)?")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)


def numbered(path: Path, rows: list[Row], names: tuple[str, ...]) -> list[int]:
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


def inferred(path: Path, rows: list[Row]) -> tuple[list[int], tuple[str, ...]]:
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


def _whole_number(path: Path, row: Row) -> int | None:
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

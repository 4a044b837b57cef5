"""Rows of numbers as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def to_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """The content of a CSV file, UTF-8: the names of the columns, then a line per row; missing values are empty.

    Example::

        >>> to_csv(("epoch", "loss"), [{"epoch": 1, "loss": 0.5}, {"epoch": 2}])
        b'epoch,loss\\n1,0.5\\n2,\\n'

    Raises:
        ValueError: a row has a value of another column.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()

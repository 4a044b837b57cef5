"""BadLog: the file that names the samples that were replaced."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


class BadLog:
    """A file to which entries are appended, one JSON object a line.

    Args:
        path: of the file.
        check: refuse a file in a folder that is not writable.

    Raises:
        ValueError: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, check: bool = True) -> None:
        self.path = Path(path).absolute()
        place = next(folder for folder in self.path.parents if folder.exists())
        if check and not (place.is_dir() and os.access(place, os.W_OK)):
            raise ValueError(f"bad_log={str(path)!r} given; {place} is not a folder that can be written to.")

    def append(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Append entries.

        Raises:
            OSError: they cannot be written.
        """
        lines = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A single call, so that the lines of several processes do not mix.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            os.write(descriptor, lines.encode(errors="surrogateescape"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""Files and folders that are made once and kept."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def make_atomically(path: Path, make: Callable[[Path], None]) -> None:
    """Let ``make`` write a file or folder beside ``path`` and move it there whole; the first of several wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        make(scratch / path.name)
        try:
            (scratch / path.name).rename(path)
        except OSError:
            if not path.exists():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

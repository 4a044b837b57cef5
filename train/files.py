"""Writing so that a killed process or a full disk leaves what was there or what is new; the cache folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``: a temporary file beside it, synced, then renamed over it.

    Raises:
        OSError: it could not be written; what ``path`` held before is intact.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # else the rename itself may be lost with the power
        finally:
            os.close(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        kept = "; the previous one is intact" if path.exists() else ""
        raise OSError(error.errno, f"could not be saved ({error.strerror}){kept}", str(path)) from error


def cache_folder() -> Path:
    """Where made files are kept between runs: ``$XDG_CACHE_HOME/dali_cutmix``, or below ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dali_cutmix"


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

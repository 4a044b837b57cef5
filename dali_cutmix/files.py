"""Writing so that a killed process or a full disk leaves what was there or what is new, never a part."""

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(temporary: Path, path: Path) -> None:
    """Give a finished file its name: synced, then renamed over ``path`` in the same folder.

    Raises:
        OSError: it could not be synced or renamed.
    """
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)  # else the rename itself may be lost with the power


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``: a temporary file beside it, synced, then renamed over it.

    Raises:
        OSError: it could not be written; what ``path`` held before is intact.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_bytes(content)
        publish(temporary, path)
    except OSError as error:
        with suppress(OSError):  # nor may a folder that cannot be written hide the error
            temporary.unlink(missing_ok=True)
        kept = "; the previous one is intact" if path.exists() else ""
        raise OSError(error.errno, f"could not be saved ({error.strerror}){kept}", str(path)) from error


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

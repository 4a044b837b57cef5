"""Atomic writes: after a crash or on a full disk a path holds the old content or the new, never a part of it."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_STALE = 24 * 3600  # seconds after which a scratch folder is taken for the leftover of a killed process


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(temporary: Path, path: Path) -> None:
    """Move a finished file to ``path`` in the same folder: sync it, then rename it over what is there.

    Raises:
        OSError: the file could not be synced or renamed.
    """
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)  # or the rename itself may be lost in a power failure


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` to a temporary file beside ``path``, sync it, and rename it to ``path``.

    Raises:
        OSError: the file could not be written; the previous content of ``path`` is intact.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_bytes(content)
        publish(temporary, path)
    except OSError as error:
        with suppress(OSError):  # a folder that is not writable must not hide the first error
            temporary.unlink(missing_ok=True)
        kept = "; the previous one is intact" if path.exists() else ""
        raise OSError(error.errno, f"could not be saved ({error.strerror}){kept}", str(path)) from error


def make_atomically(path: Path, make: Callable[[Path], None]) -> None:
    """Let ``make`` write a file or folder beside ``path``, sync it, and move it to ``path``.

    If several processes make the same folder at once, the first wins and the others' work is removed; if they make
    the same file, the last wins. A killed process leaves a hidden scratch folder beside ``path``; the next call at
    least a day later removes it.

    Raises:
        OSError: the result could not be synced or moved, or the disk is full.
        Exception: whatever ``make`` raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        made = scratch / path.name
        make(made)
        _sync_all(made)
        try:
            made.rename(path)
        except OSError:
            if not (made.is_dir() and path.is_dir()):  # another process made the folder first
                raise
        _sync(path.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _sync_all(made: Path) -> None:
    """Sync a file, or a folder with everything in it; links are part of their folders."""
    for folder, _, files in os.walk(made, topdown=False):
        for file in files:
            if not (found := Path(folder, file)).is_symlink():
                _sync(found)
        _sync(Path(folder))
    if not made.is_dir():
        _sync(made)


def _remove_leftovers(path: Path) -> None:
    """Remove old scratch folders of ``path``, whose makers must have been killed."""
    named = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}")  # as mkdtemp does
    for entry in os.scandir(path.parent):
        with suppress(OSError):  # another process may remove it at the same time
            if named.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                is_scratch = {*os.listdir(entry)} <= {path.name}
                if is_scratch and time.time() - entry.stat().st_mtime > _STALE:
                    shutil.rmtree(entry.path, ignore_errors=True)

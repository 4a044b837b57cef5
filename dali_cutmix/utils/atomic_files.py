"""Writing so that a killed process or a full disk leaves what was there or what is new, never a part."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_STALE = 24 * 3600  # seconds after which nobody is still making what a scratch folder was for


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
    """Let ``make`` write a file or folder beside ``path``, and move it there whole and synced.

    Of several that make a folder at once the first wins, and the others' are removed; of several that make a file the
    last one wins. What a killed maker left stays beside ``path``, in a folder with a dot, until ``path`` is made again
    a day later or more.

    Raises:
        OSError: it could not be synced or moved, or there is no room beside ``path``; and whatever ``make`` raises.
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
            if not path.exists():
                raise
        _sync(path.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _sync_all(made: Path) -> None:
    """Sync a file, or a folder with all that is in it; links are part of their folders."""
    for folder, _, files in os.walk(made, topdown=False):
        for file in files:
            if not (found := Path(folder, file)).is_symlink():
                _sync(found)
        _sync(Path(folder))
    if not made.is_dir():
        _sync(made)


def _remove_leftovers(path: Path) -> None:
    """Remove the scratch folders of makers of ``path`` that must have been killed, by their age."""
    named = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}")  # as mkdtemp does
    for entry in os.scandir(path.parent):
        with suppress(OSError):  # another process may be removing it too
            if named.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                is_scratch = {*os.listdir(entry)} <= {path.name}
                if is_scratch and time.time() - entry.stat().st_mtime > _STALE:
                    shutil.rmtree(entry.path, ignore_errors=True)

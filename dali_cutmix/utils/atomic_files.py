"""Atomic writes: after a crash or on a full disk a path holds the old content or the new, never a part of it.

A temporary file has a random name and is created, never opened: a link that somebody placed in a shared folder is not
followed. A link at ``path`` itself is replaced, as ``mv`` does; what it leads to stays as it is.
"""

import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from dali_cutmix.utils.files import check_regular, naming

_STALE = 24 * 3600  # seconds after which something temporary is taken for the leftover of a killed process
_KEPT = 60  # characters of a name in that of its temporary file: 255 bytes are the most


def _sync(path: Path) -> None:
    with naming(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync_folder(path: Path) -> None:
    """Sync what was renamed, where the file system can: it may be lost in a power failure otherwise."""
    try:
        _sync(path.resolve())
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
            raise


def publish(temporary: Path, path: Path) -> None:
    """Move a finished file to ``path`` in the same folder: sync it, then rename it over what is there.

    Raises:
        OSError: the file could not be synced or renamed.
    """
    _sync(temporary)
    temporary.replace(path)
    _sync_folder(path.parent)


@contextmanager
def temporary_beside(path: Path) -> Iterator[BinaryIO]:
    """Create a file in the folder of ``path``, under a random name, and open it until the block ends.

    It has the mode of the file at ``path``, or the one that ``open`` would give. The block publishes it under ``path``;
    otherwise it is removed.

    Raises:
        OSError: it cannot be created, or ``path`` leads to a folder, a FIFO or a device.
    """
    mode = _mode(path)
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name[-_KEPT:]}.tmp")

    def create(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW, 0o666 if mode is None else mode)

    try:
        with open(temporary, "xb", opener=create) as file:
            if mode is not None:
                with suppress(OSError):  # some file systems have no modes
                    os.fchmod(file.fileno(), mode)
            yield file
    finally:
        with suppress(OSError):  # a folder that is not writable must not hide the first error
            temporary.unlink()


def _mode(path: Path) -> int | None:
    """Permissions of the regular file at a path; None where there is none."""
    try:
        check_regular(path.stat(), path)
    except FileNotFoundError:
        return None
    found = path.lstat()
    return found.st_mode & 0o777 if stat.S_ISREG(found.st_mode) else None


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` to a temporary file beside ``path``, sync it, and rename it to ``path``.

    What processes that were killed left of earlier writes is removed after a day.

    Raises:
        OSError: the file could not be written; the message says whether the previous content of ``path`` is intact.
    """
    remove_leftovers(path)
    is_there = False
    try:
        with temporary_beside(path) as file:
            file.write(content)
            file.flush()
            _sync(Path(file.name))
            Path(file.name).replace(path)
            is_there = True
            _sync_folder(path.parent)
    except OSError as error:
        kept = "; the previous one is intact" if path.is_file() else ""
        kept = "; it is there, but a power failure may undo that" if is_there else kept
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
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
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
            _sync_folder(path.parent)
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


def remove_leftovers(path: Path, older_than: float = _STALE) -> None:
    """Remove what processes that were killed left beside ``path``: temporary files and scratch folders of this user.

    Args:
        path: what they wrote.
        older_than: seconds since the last change.
    """
    scratch = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}")  # as mkdtemp does
    temporary = re.compile(rf"\.[0-9a-f]{{8}}\.{re.escape(path.name[-_KEPT:])}\.tmp")
    with suppress(OSError), os.scandir(path.parent) as entries:  # a folder that cannot be listed can be written to
        for entry in entries:
            if not (scratch.fullmatch(entry.name) or temporary.fullmatch(entry.name)):
                continue
            with suppress(OSError):  # another process may remove it at the same time
                found = entry.stat(follow_symlinks=False)
                if found.st_uid != os.geteuid() or time.time() - found.st_mtime <= older_than:
                    continue
                if stat.S_ISREG(found.st_mode) and temporary.fullmatch(entry.name):
                    Path(entry.path).unlink()
                elif stat.S_ISDIR(found.st_mode) and {*os.listdir(entry)} <= {path.name}:
                    shutil.rmtree(entry.path, ignore_errors=True)

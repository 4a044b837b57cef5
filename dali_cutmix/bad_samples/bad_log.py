"""BadLog: the file that names the samples that were replaced."""

import fcntl
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dali_cutmix.utils import NotRegularFileError, check_name, check_regular, naming

_PATIENCE = 60.0
"""Seconds to wait for another process that is writing; it needs milliseconds."""
_ESCAPED = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that a line of JSON may hold, and a line of text may not: ends of lines, control characters, and what
stands for bytes of a file's name that are no UTF-8."""


class BadLog:
    """A file to which entries are appended, one JSON object a line; several processes may do so at once.

    Lines are appended whole or not at all: what could not be written or synced as a whole is cut off again. A last line
    without an end, which a crash left, stays as a line of its own.

    Args:
        path: of the file.
        check: refuse a file that cannot be written.

    Raises:
        ValueError: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, check: bool = True) -> None:
        self.path = Path(path).absolute()
        if check:
            self._check(os.fspath(path))

    def _check(self, given: str) -> None:
        check_name(given, "bad_log")
        try:
            place = next(path for path in (self.path, *self.path.parents) if path.exists())
            if place == self.path:
                check_regular(self.path.stat(), self.path)
        except OSError as error:
            what = f"it is {error.strerror}" if isinstance(error, NotRegularFileError) else error.strerror
            raise ValueError(f"bad_log={given!r} given; {what}. Give the path of a file.") from error
        if place == self.path:
            if not os.access(self.path, os.W_OK):
                raise ValueError(f"bad_log={given!r} given; this file cannot be written to. Give another path.")
        elif not (place.is_dir() and os.access(place, os.W_OK)):
            raise ValueError(f"bad_log={given!r} given; {place} is not a folder that can be written to.")

    def append(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Append entries, and sync them to the disk; if that fails, the file is as it was.

        Raises:
            OSError: they cannot be written, or the path leads to something that is not a regular file.
        """
        lines = b"".join(map(_line, entries))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with naming(self.path), _opened(self.path) as descriptor, _locked(descriptor, self.path) as locked:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            try:
                _write_all(descriptor, b"\n" * torn + lines)
                os.fsync(descriptor)
                if not size:
                    _sync_folder(self.path.parent)
            except BaseException:
                if locked:  # else the lines of another process might be cut off, too
                    with suppress(OSError):  # it must not hide the first error
                        os.ftruncate(descriptor, size)
                raise


def _line(entry: Mapping[str, Any]) -> bytes:
    """One line of UTF-8; JSON gives each string back as it was."""
    text = json.dumps(entry, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode() + b"\n"


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    if path.exists():  # judged before it is opened, too: opening a device may do something
        check_regular(path.stat(), path)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    descriptor = os.open(path, flags, 0o666)
    try:
        check_regular(os.fstat(descriptor), path)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _locked(descriptor: int, path: Path) -> Iterator[bool]:
    """Context in which no other process appends.

    Yields:
        Whether it is so; False on a file system without locks.

    Raises:
        TimeoutError: another process does not let go of the file.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            if time.monotonic() > end:
                raise TimeoutError(
                    error.errno, f"another process has held a lock on this file for {_PATIENCE:g} s", str(path)
                ) from error
            time.sleep(0.005)
        except OSError:
            yield False
            return
    yield True  # closing the file unlocks it


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _sync_folder(folder: Path) -> None:
    """Sync a folder, or a new file's name may be lost in a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

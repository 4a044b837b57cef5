"""Open regular files only: a FIFO would wait for ever, and a device may have no end."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO (named pipe)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link",
}


MAX_BYTES = 2**30
"""Size of the largest file or record that is read, by default."""


OF_PROCESS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Numbers of errors that say nothing of a file: this process has too many open, or the machine no memory."""


class NotRegularFileError(OSError):
    """A path leads to something that is not a regular file."""


class TooLargeError(OSError):
    """A file is larger than what may be read."""


def check_regular(found: os.stat_result, path: str | bytes | os.PathLike[str], max_bytes: int | None = None) -> None:
    """Refuse what is not a regular file, or a file that is too large, before any of it is read.

    Args:
        found: what ``stat`` says of the path.
        path: for the error.
        max_bytes: size of the largest file that may be read; None without a limit.

    Raises:
        NotRegularFileError: it is a folder, FIFO, socket or device.
        TooLargeError: it has more bytes.
    """
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "not a regular file")
        raise NotRegularFileError(errno.EINVAL, f"{kind}, not a regular file", os.fsdecode(path))
    if max_bytes is not None and found.st_size > max_bytes:
        raise TooLargeError(errno.EFBIG, f"{found.st_size} bytes, more than max_bytes={max_bytes}", os.fsdecode(path))


def open_regular(path: str | os.PathLike[str], max_bytes: int | None = None, *, flags: int = 0) -> int:
    """Open a regular file for reading; never waits for a FIFO.

    Args:
        path, max_bytes: see :func:`check_regular`.
        flags: more flags of ``os.open``, such as ``os.O_NOFOLLOW``.

    Returns:
        The file's descriptor.

    Raises:
        OSError: the file cannot be opened, or see :func:`check_regular`.
    """
    # Judged before it is opened, too: opening a device may do something.
    check_regular(Path(path).stat(follow_symlinks=not flags & os.O_NOFOLLOW), path, max_bytes)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | flags)
    try:
        with naming(path):
            check_regular(os.fstat(descriptor), path, max_bytes)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_regular(path: str | os.PathLike[str], max_bytes: int | None = None, *, flags: int = 0) -> bytes:
    """Read a regular file as a whole.

    Args:
        path, max_bytes, flags: see :func:`open_regular`.

    Raises:
        OSError: see :func:`open_regular`; or the file cannot be read.
    """
    with naming(path), os.fdopen(open_regular(Path(path), max_bytes, flags=flags), "rb") as file:
        return file.read()


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Context whose OSErrors name ``path`` where they name no file: those of reads, writes and syncs do not."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = os.fspath(path)
        raise

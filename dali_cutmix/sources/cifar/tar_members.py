"""Files in a tar archive, plain or compressed by gzip, read forwards in bounded time and memory.

The standard library's ``tarfile`` believes the sizes in an archive, also those below 0 and those that no memory holds.
The archives of CIFAR are of the simplest kind: everything else in a header is an error, or is skipped.
"""

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from dali_cutmix.utils import open_regular

_BLOCK = 512
_FILE, _SKIPPED = b"0\x007", b"5xgLK"  # files; folders, and the headers with longer names and times


def tar_members(path: Path, most: int) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The files of an archive.

    Args:
        path: of the archive.
        most: bytes that it may unpack to.

    Yields:
        Name of each file, and a function that reads it; it is skipped where that is not called.

    Raises:
        ValueError: it is damaged, no tar file, or unpacks to more.
        OSError: it cannot be read.
    """
    with open(open_regular(path), "rb") as file:  # noqa: PTH123  (a descriptor)
        is_compressed = file.peek(2)[:2] == b"\x1f\x8b"
        with closing(gzip.GzipFile(fileobj=file) if is_compressed else file) as unpacked:
            stream = _Bounded(unpacked.read, most)
            while (header := stream.exactly(_BLOCK)) != bytes(_BLOCK):
                name, size, kind = _parsed(header)
                end = stream.at + size + -size % _BLOCK
                stream.check(end - stream.at)
                if kind in _FILE:
                    yield name, partial(stream.exactly, size)
                stream.exactly(end - stream.at, kept=False)
            while stream.read(1 << 20):  # gzip's checksum is at the very end
                pass


class _Bounded:
    """A stream that may have so many bytes."""

    def __init__(self, read: Callable[[int], bytes], most: int) -> None:
        self._read, self._most, self.at = read, most, 0

    def check(self, size: int) -> None:
        """Refuse to go on for so many bytes where the stream would have too many."""
        if self.at + size > self._most:
            raise ValueError(f"it unpacks to more than {self._most:,} bytes, which no archive of CIFAR does")

    def read(self, size: int) -> bytes:
        try:
            found = self._read(size)
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise ValueError(str(error).splitlines()[0]) from error
        self.check(len(found))
        self.at += len(found)
        return found

    def exactly(self, size: int, kept: bool = True) -> bytes:
        """So many bytes; none of them where they are not kept."""
        parts = []
        while size:
            part = self.read(min(size, 1 << 20))
            if not part:
                raise ValueError("its end is missing")
            size -= len(part)
            parts += [part] if kept else []
        return b"".join(parts)


def _parsed(header: bytes) -> tuple[str, int, bytes]:
    """Name, size and kind of a member."""
    total = sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
    size, checksum = (re.fullmatch(rb" *([0-7]+)[ \0]*", header[start:end]) for start, end in ((124, 136), (148, 156)))
    if not checksum or int(checksum[1], 8) != total:
        raise ValueError("not a tar file, or a damaged one")
    if not size:
        raise ValueError(f"a size of {header[124:136]!r}")
    kind = header[156:157]
    if kind not in _FILE + _SKIPPED:
        raise ValueError(f"a member of kind {kind!r}")
    return header[:100].split(b"\0")[0].decode(errors="replace"), int(size[1], 8), kind

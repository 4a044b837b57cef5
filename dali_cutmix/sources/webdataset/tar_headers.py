"""Headers of a tar file: which files it holds, and where; every offset and size is checked before it is used.

``tarfile`` of the standard library takes sizes at their word: with a negative one it reads the same header for ever.

    V7, ustar   a block of 512 bytes before each member: name, size, type, checksum of the block
    GNU         type L: the long name of the next member; sizes from 8 GiB in base 256
    pax         type x: path and size of the next member, as text; type g: for all members, such as a comment
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from dali_cutmix.utils import naming, open_regular, refuse_compressed

BLOCK = 512
_END = bytes(BLOCK)
_LONGEST = 1 << 20  # bytes of a long name, or of a pax header
_BEHIND = 1 << 20  # bytes behind the end in which a second archive is looked for
_FILES = b"\0" + b"07"
_WITHOUT_DATA = b"123456"  # links, devices, folders, FIFOs: whatever their size says
_EXTENSIONS = b"xXgLK"
_METADATA = b"ADEIV"  # access lists, contents of folders, attributes, inodes, names of volumes
_PAX_RECORD = re.compile(rb"(?P<length>[0-9]{1,10}) (?P<key>[^=]+)=")


class TarMember(NamedTuple):
    """A file in a tar: its name, and where its content is, in bytes."""

    name: str
    offset: int
    size: int


def tar_members(path: Path, at: int = 0) -> Iterator[TarMember]:
    """The files of a tar in their order, without folders and links.

    Args:
        path: of the tar.
        at: byte to begin at, where a header is.

    Raises:
        OSError: the tar cannot be read, or is not a regular file.
        ValueError: it is cut off, damaged, compressed, or not a tar file; or it stores a file in parts.
    """
    with naming(path), os.fdopen(open_regular(path), "rb", buffering=0) as file:
        length = os.fstat(file.fileno()).st_size
        try:
            yield from _members(lambda size, at: _read(file.fileno(), size, at), length, at)
        except ValueError as error:
            refuse_compressed(path)
            raise ValueError(f"{path}: cut off, or not a tar file ({error}); copy it again.") from error
        except _UnsupportedMemberError as error:
            raise ValueError(f"{path}: {error}") from error


def _read(descriptor: int, size: int, at: int) -> bytes:
    """Read bytes, fewer only at the end of the file: one call gives less on some file systems."""
    content = os.pread(descriptor, size, at)
    while len(content) < size and (more := os.pread(descriptor, size - len(content), at + len(content))):
        content += more
    return content


class _UnsupportedMemberError(Exception):
    """A member whose content is not one range of bytes."""


def _members(read: Callable[[int, int], bytes], length: int, at: int) -> Iterator[TarMember]:
    ahead: dict[str, str | int] = {}  # name and size of the next member, from headers before it
    while (block := read(BLOCK, at)) != _END:
        if len(block) < BLOCK:
            raise ValueError("its end is missing")
        if not _is_header(block):
            raise ValueError(f"byte {at}: the checksum of a header is wrong")
        kind, name = block[156], _name(block)
        size = _number(block[124:136], at)
        start = at + BLOCK
        if kind in _EXTENSIONS:
            if size > min(_LONGEST, length - start):
                raise ValueError(f"byte {at}: a name or pax header of {size} bytes")
            found = _extension(kind, read(size, start), at)
            ahead = found | ahead  # of several the first counts, as in tarfile
        else:
            name, size = str(ahead.get("name", name)), int(ahead.get("size", size))
            ahead = {}
            if kind == 0 and block[:100].partition(b"\0")[0].endswith(b"/"):  # a folder of V7
                kind = ord("5")
            if kind in _WITHOUT_DATA:
                size = 0
            elif kind not in _FILES + _METADATA:
                raise _UnsupportedMemberError(
                    f"its member {name!a} (at byte {at}) is of type {chr(kind)!a}: {_what(kind)}. Write the tar again "
                    "with whole files only."
                )
            if size > length - start:
                raise ValueError(f"byte {at}: {name!a} with {size} bytes, {length - start} are left")
            if kind in _FILES:
                yield TarMember(name, start, size)
        at = start + -(-size // BLOCK) * BLOCK
    _refuse_second(read, at + BLOCK)


def _what(kind: int) -> str:
    known = {ord("S"): "a sparse file, stored in parts", ord("M"): "the rest of a file from another volume"}
    return known.get(kind, "what that holds is not known")


def _refuse_second(read: Callable[[int, int], bytes], end: int) -> None:
    """Refuse an archive behind the end of the first one, which no reader of tar files would see."""
    behind = read(_BEHIND, end)
    zeros = len(behind) - len(behind.lstrip(b"\0"))
    at = zeros // BLOCK * BLOCK
    if zeros < len(behind) and _is_header(behind[at : at + BLOCK]):
        raise _UnsupportedMemberError(
            f"a second archive begins at byte {end + at}, behind the end of the first: its samples would be lost. Put "
            "them together with tar --concatenate, or give them as two files."
        )


def _is_header(block: bytes) -> bool:
    """Whether the checksum of a header is right; old tools added up signed bytes."""
    field = block[148:156]
    total = sum(block) - sum(field) + 8 * ord(" ")
    try:
        stored = _number(field, 0)
    except ValueError:
        return False
    if len(block) != BLOCK:
        return False
    return stored == total or stored == total - 256 * sum(byte >= 128 for byte in block[:148] + block[156:])


def _number(field: bytes, at: int) -> int:
    """A number of a header: octal digits, or base 256 after a byte of 0x80."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.partition(b"\0")[0].strip(b" ")
    if digits.strip(b"01234567"):
        raise ValueError(f"byte {at}: a header with the number {field!r}")
    return int(digits or b"0", 8)


def _name(block: bytes) -> str:
    name, prefix = (block[a:b].partition(b"\0")[0] for a, b in ((0, 100), (345, 500)))
    if prefix and block[257:263] == b"ustar\0":  # GNU's own format has times in place of the prefix
        name = prefix + b"/" + name
    return os.fsdecode(name)


def _extension(kind: int, content: bytes, at: int) -> dict[str, str | int]:
    """Name and size that a header says of the next member."""
    if kind == ord("L"):
        return {"name": os.fsdecode(content.partition(b"\0")[0])}
    found: dict[str, str | int] = {}
    if kind == ord("K"):  # the long target of a link
        return found
    for key, value in _pax_records(content, at):
        if key.startswith(b"GNU.sparse."):
            raise _UnsupportedMemberError(
                f"a sparse file, stored in parts (pax header at byte {at}). Write the tar again without --sparse."
            )
        if kind == ord("g") and key in (b"path", b"size"):
            raise ValueError(f"byte {at}: a pax header with one {key.decode()} for all members")
        if key == b"path":
            found["name"] = os.fsdecode(value).rstrip("/")
        elif key == b"size":
            if not re.fullmatch(rb"[0-9]{1,19}", value):
                raise ValueError(f"byte {at}: a pax header with size={value[:40]!r}")
            found["size"] = int(value)
    return found


def _pax_records(content: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a pax header: lines of "length key=value", where the length is that of the line."""
    begin = 0
    while begin < len(content) and content[begin]:
        line = _PAX_RECORD.match(content, begin)
        end = begin + int(line["length"]) if line else 0
        if not line or not line.end() < end <= len(content) or content[end - 1] != ord("\n"):
            raise ValueError(f"byte {at}: a damaged pax header")
        yield line["key"], content[line.end() : end - 1]
        begin = end

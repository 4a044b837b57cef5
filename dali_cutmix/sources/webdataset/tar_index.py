"""Index of a tar file: where each sample's files are, from DALI's index beside the tar or from the tar itself."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from dali_cutmix.sources.record_files import MAX_INDEX_BYTES, check_length
from dali_cutmix.sources.webdataset.tar_headers import BLOCK, TarMember, tar_members
from dali_cutmix.utils import cache_path, check_regular, read_regular, refuse_compressed, remember, remembered

Place = tuple[int, int]
"""Offset and size in bytes."""

_NOT_SAMPLES = re.compile(r"(.*/)?(\.[^/]*|(__MACOSX|PaxHeaders?(\.[0-9]+)?)/.*)", re.DOTALL)
"""Names of members that no sample has: hidden files, such as macOS's ._0.jpg, and what other tools left of metadata."""


def read_index(path: Path) -> list[dict[str, Place]]:
    """Places of each sample's files by extension, from DALI's index beside the tar or from the tar itself.

    Extensions are in lower case, as the package webdataset has them. Hidden files are left out.

    Raises:
        FileNotFoundError: the tar is missing.
        OSError: it cannot be read, or is not a regular file.
        ValueError: it is cut off, compressed or not a tar file, its index is damaged, or a sample has two files with
            the same extension.
    """
    try:
        seen = path.stat()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: no such tar file.") from error
    check_regular(seen, path)
    if path.suffix != ".tar":
        refuse_compressed(path)
    index = path.with_suffix(".idx")
    if index.is_file():
        samples = _parse(index)
        check_length(path, max((offset + size for parts in samples for offset, size in parts.values()), default=0))
        return samples
    stamp = f"{path.absolute()} {seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns} {seen.st_ino}\n".encode(
        errors="surrogateescape"
    )
    cached = cache_path("tar-indexes", str(path.absolute()))
    known = _remembered(remembered(cached, stamp))
    if known is None:
        known = list(_scan(path))
        remember(cached, stamp, json.dumps(known).encode())
    return known


def _remembered(content: bytes | None) -> list[dict[str, Place]] | None:
    """What an earlier run found; None where it is nothing that this module writes."""
    if content is None:
        return None
    try:
        found = [{name: (offset, size) for name, (offset, size) in parts.items()} for parts in json.loads(content)]
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    places = (place for parts in found for place in parts.values())
    return found if all(type(offset) is int and type(size) is int for offset, size in places) else None


def _scan(path: Path) -> Iterator[dict[str, Place]]:
    """Group the files of a tar into samples: consecutive ones with the same name up to its first dot."""
    key = ""
    parts: dict[str, TarMember] = {}
    for member in tar_members(path):
        if _NOT_SAMPLES.fullmatch(member.name):
            continue
        folder, slash, name = member.name.rpartition("/")
        stem, _, extension = name.partition(".")
        extension = extension.lower() or "-"
        if parts and folder + slash + stem != key:
            yield {name: part[1:] for name, part in parts.items()}
            parts = {}
        key = folder + slash + stem
        if extension in parts:
            raise _twice(path, extension, *(f"{name!a} at byte {at}" for name, at, _ in (parts[extension], member)))
        parts[extension] = member
    if parts:
        yield {name: part[1:] for name, part in parts.items()}


def _twice(path: Path, extension: str, first: str, second: str) -> ValueError:
    return ValueError(
        f"{path}: two files with one name and the extension {extension!a} follow each other ({first}, {second}), so "
        "one sample would be lost; the package webdataset refuses them, too. Write the tar again with a name of its "
        "own for each sample."
    )


def _parse(index: Path) -> list[dict[str, Place]]:
    """Parse DALI's index: a line for each sample; for each file extension, offset, size and, since v1.2, name."""
    header, *lines = (
        read_regular(index, MAX_INDEX_BYTES).decode(errors="surrogateescape").removesuffix("\n").split("\n")
    )
    try:
        version, count = header.split()
        if len(lines) != int(count):
            raise ValueError(f"{len(lines)} samples, its first line says {count[:40]}")
        samples = [_components(line, {"v1.1": 3, "v1.2": 4}[version]) for line in lines]
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"{index}: not an index written by DALI's wds2idx, or damaged ({str(error)[:120]}); generate it again, or "
            "remove it: the tar can be read without one."
        ) from error
    found = []
    for sample in samples:
        parts: dict[str, Place] = {}
        for extension, offset, size in sample:
            if extension in parts:
                raise _twice(index, extension, *(f"at byte {at}" for at in (parts[extension][0], offset)))
            parts[extension] = offset, size
        if parts:
            found.append(parts)
    return found


def _components(line: str, fields: int) -> list[tuple[str, int, int]]:
    """Extension, offset and size of each file of a sample; a name may hold spaces."""
    words = line.split()
    starts = [0]
    for at in range(fields, len(words) - fields + 1):
        if fields == 4 and at >= starts[-1] + 4 and _is_place(words[at + 1 : at + 3]):
            starts.append(at)
    if fields == 3:
        starts = list(range(0, len(words), 3))
    found = []
    for start, end in zip(starts, [*starts[1:], len(words)], strict=True):
        extension, *place = words[start : start + 3]
        if end - start < fields or not _is_place(place) or int(place[0]) % BLOCK:
            raise ValueError(f"line {line[:80]!r}")
        name = " ".join(words[start + 3 : end]) or extension
        if not _NOT_SAMPLES.fullmatch(name):
            found.append((extension.lower(), int(place[0]), int(place[1])))
    return found


def _is_place(words: list[str]) -> bool:
    """Whether these are an offset and a size."""
    return len(words) == 2 and all(word.isascii() and word.isdigit() and len(word) < 19 for word in words)

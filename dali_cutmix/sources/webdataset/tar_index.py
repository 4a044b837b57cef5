"""Index of a tar file: where each sample's files are, from DALI's index beside the tar or from the tar itself."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from dali_cutmix.sources.record_files import MAX_INDEX_BYTES, check_length
from dali_cutmix.sources.webdataset.tar_headers import BLOCK, TarMember, tar_members
from dali_cutmix.utils import cache_path, check_regular, read_regular, refuse_compressed, remember, remembered

Place = tuple[int, int]
"""Offset and size in bytes."""

_NOT_SAMPLES = re.compile(r"(.*/)?(\.[^/]*|(__MACOSX|PaxHeaders?(\.[0-9]+)?)/.*)", re.DOTALL)
"""Names of members that no sample has: hidden files, such as macOS's ._0.jpg, and what other tools left of metadata."""
_PLAIN = {
    "v1.1": re.compile(r"(?:\S+ [0-9]{1,18} [0-9]{1,18}(?: |$))+"),
    "v1.2": re.compile(r"(?:\S+ [0-9]{1,18} [0-9]{1,18} \S+(?: |$))+"),
}
"""Lines of DALI's index without spaces in names; its versions have three or four words for each file."""


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
        places = [place for parts in samples for place in parts.values()]
        end = max((offset + size for offset, size in places), default=0)
        check_length(path, end)
        if wrong := _lost(path, places, end):
            raise ValueError(
                f"{index}: {wrong}, so samples would be lost or come twice; generate it again, or remove it: the tar "
                "can be read without one."
            )
        return samples
    stamp = f"{path.absolute()} {seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns} {seen.st_ino}\n".encode(
        errors="surrogateescape"
    )
    cached = cache_path("tar-indexes", str(path.absolute()))
    known = _remembered(remembered(cached, stamp), seen.st_size)
    if known is None:
        known = list(_scan(path))
        remember(cached, stamp, json.dumps(known).encode())
    return known


def _lost(path: Path, places: list[Place], end: int) -> str:
    """How an index loses samples at the tar's end, or has one twice; empty where it does not."""
    if len({offset for offset, _ in places}) < len(places):
        again = next(at for (at, _), (other, _) in pairwise(sorted(places)) if at == other)
        return f"it has byte {again} twice"
    try:
        for member in tar_members(path, -(-end // BLOCK) * BLOCK):
            if not _is_no_sample(member.name):
                return f"it ends before {member.name!a} at byte {member.offset}"
    except ValueError:
        pass  # what is behind the samples is not read
    return ""


def _remembered(content: bytes | None, length: int) -> list[dict[str, Place]] | None:
    """What an earlier run found; None where it is nothing that this module writes, or leads out of the tar."""
    if content is None:
        return None
    try:
        found = [{name: (offset, size) for name, (offset, size) in parts.items()} for parts in json.loads(content)]
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    places = [place for parts in found for place in parts.values()]
    are_numbers = all(type(offset) is int and type(size) is int for offset, size in places)
    return found if are_numbers and all(0 <= at <= at + size <= length for at, size in places) else None


def _scan(path: Path) -> Iterator[dict[str, Place]]:
    """Group the files of a tar into samples: consecutive ones with the same name up to its first dot."""
    key = ""
    parts: dict[str, TarMember] = {}
    for member in tar_members(path):
        if _is_no_sample(member.name):
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
        if version not in _PLAIN:
            raise ValueError(f"version {version[:40]!r}")
        samples = [_components(line, version) for line in lines]
    except ValueError as error:
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


def _components(line: str, version: str) -> list[tuple[str, int, int]]:
    """Extension, offset and size of each file of a sample."""
    words = line.split(" ")
    fields = 3 if version == "v1.1" else 4
    if _PLAIN[version].fullmatch(line):
        starts = list(range(0, len(words) - fields + 1, fields))
        names = words[3::4] if fields == 4 else words[::3]
    else:
        starts, names = _with_spaces(line, words)
    found = []
    for start, name in zip(starts, names, strict=True):
        offset = int(words[start + 1])
        if offset % BLOCK:
            raise ValueError(f"line {line[:80]!r}")
        if not _is_no_sample(name):
            found.append((words[start].lower(), offset, int(words[start + 2])))
    return found


def _with_spaces(line: str, words: list[str]) -> tuple[list[int], list[str]]:
    """Where each file begins in a line whose names hold spaces, and these names."""
    starts: list[int] = []
    for at in range(len(words) - 3):
        if (not starts or at >= starts[-1] + 4) and all(
            re.fullmatch("[0-9]{1,18}", word) for word in words[at + 1 : at + 3]
        ):
            starts.append(at)
    if starts[:1] != [0]:
        raise ValueError(f"line {line[:80]!r}")
    return starts, [" ".join(words[a + 3 : b]) for a, b in zip(starts, [*starts[1:], len(words)], strict=True)]


def _is_no_sample(name: str) -> bool:
    if not ("/." in name or name.startswith(".") or "__MACOSX" in name or "PaxHeader" in name):  # nearly all
        return False
    return _NOT_SAMPLES.fullmatch(name) is not None

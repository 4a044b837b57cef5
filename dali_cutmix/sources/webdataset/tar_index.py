"""Index of a tar file: where each sample's files are, from DALI's index beside the tar or from the tar itself."""

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

from dali_cutmix.sources.record_files import check_length
from dali_cutmix.utils import cache_path, refuse_compressed, remember, remembered

Place = tuple[int, int]
"""Offset and size in bytes."""


def read_index(path: Path) -> list[dict[str, Place]]:
    """Places of each sample's files by extension, from DALI's index beside the tar or from the tar itself.

    Raises:
        FileNotFoundError: the tar is missing.
        ValueError: it is cut off, compressed or not a tar file, or its index is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such tar file.")
    if path.suffix != ".tar":
        refuse_compressed(path)
    index = path.with_suffix(".idx")
    if index.is_file():
        samples = _parse(index)
        end = max((offset + size for parts in samples for offset, size in parts.values()), default=0)
        check_length(path, end)
        return samples
    seen = path.stat()
    stamp = f"{path.absolute()} {seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns}\n".encode(errors="surrogateescape")
    cached = cache_path("tars", str(path.absolute()))
    content = remembered(cached, stamp)
    if content is not None and (known := _known(content, seen.st_size)) is not None:
        return known
    content = "\n".join(_scan(path)).encode(errors="surrogateescape")
    remember(cached, stamp, content)
    return _parsed(content)


def _parsed(content: bytes) -> list[dict[str, Place]]:
    return list(map(_components, content.decode(errors="surrogateescape").splitlines()))


def _known(content: bytes, size: int) -> list[dict[str, Place]] | None:
    """The index in an entry of the cache; None where it is none, or leads out of the tar."""
    try:
        samples = _parsed(content)
    except ValueError:
        return None
    places = [place for parts in samples for place in parts.values()]
    return samples if all(0 <= offset <= offset + length <= size for offset, length in places) else None


def _parse(index: Path) -> list[dict[str, Place]]:
    """Parse DALI's index: a line for each sample; for each file extension, offset, size and, since v1.2, name."""
    header, *lines = index.read_text(errors="replace").splitlines() or [""]
    try:
        version, count = header.split()
        if len(lines) != int(count):
            raise ValueError(f"{len(lines)} samples, its first line says {count}")
        return [_components(line, {"v1.1": 3, "v1.2": 4}[version]) for line in lines]
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"{index}: not an index written by DALI's wds2idx, or damaged ({error!r}); generate it again, or remove "
            "it: the tar can be read without one."
        ) from error


def _components(line: str, fields: int = 3) -> dict[str, Place]:
    parts = line.split()
    try:
        if len(parts) % fields == 0:
            return {parts[i]: (int(parts[i + 1]), int(parts[i + 2])) for i in range(0, len(parts), fields)}
    except ValueError:
        pass
    found = re.findall(r"(\S+) (\d+) (\d+) \S.*?(?= \S+ \d+ \d+ |$)", line)  # names with spaces
    if not found:
        raise ValueError(f"line {line!r}")
    return {extension: (int(offset), int(size)) for extension, offset, size in found}


def _scan(path: Path) -> Iterator[str]:
    """Make the lines of an index from the tar: extension, offset and size of each file of a sample."""
    key = ""
    parts: list[str] = []
    try:
        with tarfile.open(path, "r:") as archive:
            for entry in archive:
                if not entry.isfile():
                    continue
                folder, slash, name = entry.name.rpartition("/")
                stem, _, extension = name.partition(".")
                if parts and folder + slash + stem != key:
                    yield " ".join(parts)
                    parts = []
                key = folder + slash + stem
                parts += [extension or "-", str(entry.offset_data), str(entry.size)]
            with path.open("rb") as file:  # the end of a tar is a block of zeros
                file.seek(archive.offset)
                if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                    raise tarfile.ReadError("its end is missing")
    except tarfile.TarError as error:
        refuse_compressed(path)
        raise ValueError(f"{path}: cut off, or not a tar file ({error}); copy it again.") from error
    if parts:
        yield " ".join(parts)

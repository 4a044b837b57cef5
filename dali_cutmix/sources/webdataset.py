"""WebDataset: tar files with an image and a label for each sample, with DALI's index or without."""

import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from dali_cutmix.sources.record_files import RecordFiles, check_length
from dali_cutmix.utils import cache_path, remember, remembered

Place = tuple[int, int]
"""Offset and size in bytes."""


class WebDataset(RecordFiles):
    """Samples of webdataset tar files: consecutive members with the same name up to its first dot.

    Args:
        paths: of the tar files.
        images: extensions of the image; of several that a sample has, the first in this list is taken.
        label: extension of the label, a whole number in digits.
        missing: what to do about a sample without image or label: refuse its shard, or skip the sample.

    Raises:
        ValueError: a shard is cut off, compressed or not a tar file, its index is damaged, or a sample has no image or
            no label.
        FileNotFoundError: a shard is missing.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        images: Sequence[str],
        label: str,
        missing: Literal["error", "skip"],
    ) -> None:
        found = [_complete(path, images, label, missing) for path in paths]
        super().__init__(paths, [places[:2] for places in found])
        self._label_offsets, self._label_sizes = np.concatenate(found, axis=1)[2:]

    def name(self, number: int) -> str:
        """Where a sample is, as ``tar: member``."""
        path = self.paths[self._file[number]]
        try:
            with tarfile.open(path, "r:") as archive:
                names = {entry.offset_data: entry.name for entry in archive}
            return f"{path}: {names[self._offsets[number]]}"
        except (OSError, tarfile.TarError, KeyError):  # the tar itself may be damaged
            return super().name(number)

    def parse(self, number: int, content: np.ndarray) -> tuple[np.ndarray, int]:
        """Image and label of a sample; the label is in a member of its own."""
        offset, size = self._label_offsets[number].item(), self._label_sizes[number].item()
        digits = self.bytes_at(number, offset, size).tobytes()
        try:
            return content, int(digits)
        except ValueError as error:
            raise ValueError(f"its label is {digits[:20]!r}; it must be a whole number in digits") from error


def _complete(path: Path, images: Sequence[str], label: str, missing: str) -> np.ndarray:
    """Offset and size of image and label, 4×n int64, for every sample that has both."""
    samples = read_index(path)
    rows, lacking = [], []
    for number, parts in enumerate(samples):
        image = next((parts[extension] for extension in images if extension in parts), None)
        if image is None or label not in parts:
            lacking.append(f"sample {number} has {', '.join(sorted(parts)) or 'nothing'}")
        else:
            rows.append((*image, *parts[label]))
    if lacking and missing == "error":
        found = Counter(extension for parts in samples for extension in parts)
        raise ValueError(
            f"{path}: {len(lacking)} of {len(samples)} samples lack image or label ({lacking[0]}; expected "
            f"one of {', '.join(images)}, and {label}; the tar has {dict(found)}). Name the extensions that are there, "
            "or give missing='skip' to leave these samples out."
        )
    return np.array(rows, np.int64).reshape(-1, 4).T


def read_index(path: Path) -> list[dict[str, Place]]:
    """Places of each sample's files by extension, from DALI's index beside the tar or from the tar itself.

    Raises:
        ValueError, FileNotFoundError: see :class:`WebDataset`.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such tar file.")
    index = path.with_suffix(".idx")
    if index.is_file():
        samples = _parse(index)
        end = max((offset + size for parts in samples for offset, size in parts.values()), default=0)
        check_length(path, end)
        return samples
    seen = path.stat()
    stamp = f"{path.absolute()} {seen.st_size} {seen.st_mtime_ns}\n".encode(errors="surrogateescape")
    cached = cache_path("tars", str(path.absolute()))
    content = remembered(cached, stamp)
    if content is None:
        content = "\n".join(_scan(path)).encode(errors="surrogateescape")
        remember(cached, stamp, content)
    return list(map(_components, content.decode(errors="surrogateescape").splitlines()))


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
        raise ValueError(
            f"{path}: cut off, compressed, or not a tar file ({error}); copy it again, or unpack it if it is "
            "compressed."
        ) from error
    if parts:
        yield " ".join(parts)

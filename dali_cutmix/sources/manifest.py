"""Manifest and indexes of a packed folder: their format, and what is refused."""

import json
import os
import re
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np

from dali_cutmix.sources.record_files import MAX_INDEX_BYTES
from dali_cutmix.sources.shard_header import HEADER_BYTES
from dali_cutmix.utils import NotRegularFileError, TooLargeError, check_regular, check_whole, read_regular

MANIFEST = "dali_cutmix.json"
UNFINISHED = "dali_cutmix.unfinished.json"
VERSION = 1
FIX = (
    "Copy the shard and its .idx again from where they came from, or remove both and run the command that packed them "
    "again: it writes only what is missing."
)


@dataclass(frozen=True)
class Manifest:
    """The contents of a packed folder.

    Args:
        short_side: side that larger images were reduced to, in pixels.
        quality: of the JPEGs that were encoded.
        samples_per_shard: samples in every shard but the last.
        digest: SHA-256 of the list of packed files.
        shards: number of samples in each tar file, by file name.
        classes: for each class, in the order of the labels, the files that were packed, below the class's folder.
    """

    short_side: int
    quality: int
    samples_per_shard: int
    digest: str
    shards: dict[str, int]
    classes: dict[str, list[str]]

    @property
    def labels(self) -> list[int]:
        """The label of each sample."""
        return list(chain.from_iterable(repeat(label, len(names)) for label, names in enumerate(self.classes.values())))

    @property
    def files(self) -> list[str]:
        """The packed file of each sample, below the folder that was packed."""
        found = (os.path.join(name, file) for name, files in self.classes.items() for file in files)
        return [os.path.normpath(file) if "/../" in file else file for file in found]

    def to_json(self) -> bytes:
        """The file's content."""
        return json.dumps({"version": VERSION} | self.__dict__, indent=1).encode()

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Read a manifest.

        Raises:
            ValueError: the file is not a manifest, a field of it is wrong, or it has a newer version.
        """
        try:
            content = json.loads(read_regular(path, MAX_INDEX_BYTES), object_pairs_hook=_unique)
            version = content.pop("version")
            if type(version) is not int:
                raise ValueError(f"version {version!r}")
            if version == VERSION:
                manifest = cls(**content)
                manifest._check()
                return manifest
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{path}: not a manifest of dali_cutmix.pack ({str(error)[:200]}); copy it again from where the shards "
                "came from, or pack into an empty folder."
            ) from error
        raise ValueError(
            f"{path}: version {str(version)[:20]} given, this dali_cutmix reads version {VERSION}; install the version "
            "of dali_cutmix that packed it, or pack into an empty folder."
        )

    def _check(self) -> None:
        """Refuse fields of a wrong type or value, names of shards that are paths, and files outside of the folder.

        Raises:
            ValueError, TypeError: the fault.
        """
        for name in ("short_side", "quality", "samples_per_shard"):
            check_whole(name, getattr(self, name))
        if not (isinstance(self.digest, str) and re.fullmatch("[0-9a-f]{64}", self.digest)):
            raise ValueError("digest is not a SHA-256")
        if not all(isinstance(part, dict) and part for part in (self.shards, self.classes)):
            raise ValueError("no shards or no classes")
        for name, count in self.shards.items():
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.tar", name):
                raise ValueError(f"{name[:80]!a} is not the name of a shard")
            check_whole(f"samples of {name}", count)
        for name, files in self.classes.items():
            if not isinstance(files, list):
                raise ValueError(f"the files of class {name[:80]!a} are no list")
            _check_names(name, files)


def _check_names(folder: str, files: list[str]) -> None:
    """Refuse names of files that are no paths below the folder that was packed."""
    joined = "\0".join([folder, *files])  # one test for all: a data set has millions
    joined.encode(errors="surrogateescape")
    odd = joined.count("\0") != len(files) or "\0\0" in f"{joined}\0" or joined.startswith(("/", "\0"))
    if not odd and (".." in joined or "\0/" in joined):
        paths = (os.path.normpath(os.path.join(folder, file)) for file in files)
        odd = any(path.startswith(("/", "../")) or path in (".", "..") for path in paths)
    if odd:
        raise ValueError(f"class {folder[:80]!a} has a file outside of the folder that was packed, or without a name")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; the same key twice would hide what the first one says."""
    found = dict(pairs)
    if len(found) < len(pairs):
        again = next(key for number, (key, _) in enumerate(pairs) if key in dict(pairs[:number]))
        raise ValueError(f"{again[:80]!a} is there twice")
    return found


def member(number: int, extension: str) -> str:
    """Name of a sample's file in its tar."""
    return f"{number:08d}.{extension}"


def read_index(tar: Path, samples: int) -> np.ndarray:
    """Read offsets and sizes in bytes of a shard's JPEGs from the index beside it; 2×``samples`` int64.

    Raises:
        ValueError: shard or index is missing, too short, or belongs to something else.
    """

    def refused(what: str) -> ValueError:
        return ValueError(f"{tar}: {what}. {FIX}")

    try:
        seen = tar.stat()
        check_regular(seen, tar)
        fields = read_regular(tar.with_suffix(".idx"), MAX_INDEX_BYTES).split()
    except FileNotFoundError as error:
        raise refused(f"{error.filename} is missing") from error
    except (NotRegularFileError, TooLargeError) as error:
        raise refused(f"{error.filename}: {error.strerror}") from error
    header = b" ".join(fields[:2])[:40].decode(errors="replace")
    if header != f"v1.2 {samples}":
        raise refused(f"its index begins with {header!r}, the manifest has {samples} samples")
    try:  # for each sample: jpg, offset, size, name, cls, offset, size, name
        if len(fields) != 2 + 8 * samples:
            raise ValueError(f"{len(fields)} words, {2 + 8 * samples} expected")
        images, labels = (
            np.array([np.fromiter(map(int, fields[column::8]), np.int64, samples) for column in columns])
            for columns in ((3, 4), (7, 8))
        )
    except (ValueError, OverflowError) as error:
        raise refused(f"its index is damaged ({str(error)[:80]})") from error
    length = seen.st_size
    for offsets, sizes in (images, labels):
        if min(offsets.min() - HEADER_BYTES, sizes.min()) < 0:
            raise refused("its index is damaged (a place before the first header, or a size below 0)")
        if (sizes > length - offsets).any():
            raise refused(f"{length} bytes long, its index needs {int(max(offsets.astype(object) + sizes))}")
    return images


def is_packed(root: str | os.PathLike[str]) -> bool:
    """Whether ``python -m dali_cutmix.pack`` wrote into this folder."""
    return any(Path(root, name).is_file() for name in (MANIFEST, UNFINISHED))


def finished_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder that is packed completely.

    Raises:
        ValueError: the folder is not complete, or its manifest is damaged.
    """
    if (folder / MANIFEST).is_file():
        return Manifest.read(folder / MANIFEST)
    started = Manifest.read(folder / UNFINISHED)
    done = sum((folder / name).is_file() for name in started.shards)
    raise ValueError(
        f"{folder}: not packed completely, {done} of {len(started.shards)} shards are there. Run the same command "
        f"again, it continues where it stopped: python -m dali_cutmix.pack SRC {folder} --short-side "
        f"{started.short_side} --quality {started.quality} --samples-per-shard {started.samples_per_shard}"
    )

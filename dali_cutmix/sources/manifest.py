"""Manifest and indexes of a packed folder: their format, and what is refused."""

import json
import os
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import numpy as np

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
            ValueError: the file is not a manifest, or has a newer version.
        """
        try:
            content = json.loads(path.read_bytes())
            version = content.pop("version")
            if version == VERSION:
                manifest = cls(**content)
                if not all(isinstance(part, dict) and part for part in (manifest.shards, manifest.classes)):
                    raise ValueError("no shards or no classes")
                return manifest
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path}: not a manifest of dali_cutmix.pack ({error}); copy it again from where the shards came "
                "from, or pack into an empty folder."
            ) from error
        raise ValueError(
            f"{path}: version {version} given, this dali_cutmix reads version {VERSION}; install the version of "
            "dali_cutmix that packed it, or pack into an empty folder."
        )


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
        length = tar.stat().st_size
        fields = tar.with_suffix(".idx").read_bytes().split()
    except FileNotFoundError as error:
        raise refused(f"{error.filename} is missing") from error
    header = b" ".join(fields[:2]).decode(errors="replace")
    if header != f"v1.2 {samples}":
        raise refused(f"its index begins with {header!r}, the manifest has {samples} samples")
    try:  # for each sample: jpg, offset, size, name, cls, offset, size, name
        lines = np.array(fields[2:]).reshape(samples, 8)
        jpegs, labels = lines[:, 1:3].T.astype(np.int64), lines[:, 5:7].T.astype(np.int64)
    except ValueError as error:
        raise refused(f"its index is damaged ({error})") from error
    end = labels.sum(axis=0).max()
    if length < end:
        raise refused(f"{length} bytes long, its index needs {end}")
    return jpegs


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

"""CIFAR's archives, converted once into RecordIO files in the cache."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from dali_cutmix.sources.cifar.archive import Cifar
from dali_cutmix.sources.recordio import write_recordio
from dali_cutmix.utils import Split, generated, generated_before

_VERSION = 2  # of the converted files: raise it when the same archive gives others


def convert_cifar(path: str | os.PathLike[str]) -> Path:
    """The folder with ``train.rec``, ``val.rec`` (each with its .idx) and ``classes.json``, made on the first call.

    It lies in the cache (``$XDG_CACHE_HOME/dali_cutmix``, 190 MB). Its name depends on the archive's path, size and
    times of change, so that another archive at the same path is converted anew. It appears there complete or not at
    all, after a killed process as well as with several processes that convert at once (``torchrun``).

    Args:
        path: archive of CIFAR, or the folder that it unpacks to.

    Raises:
        FileNotFoundError: the archive, or a file in it, is missing.
        ValueError: it is damaged or not an archive of CIFAR.
        OSError: the folder cannot be written, or others can write to it.
    """
    source = Path(os.path.abspath(path))
    name = f"cifar-{_digest(source)}"
    if found := generated_before(name):
        return found
    cifar = Cifar(source)

    def build(target: Path) -> None:
        target.mkdir()
        (target / "classes.json").write_text(json.dumps(cifar.classes))
        for split in get_args(Split):
            write_recordio(target / f"{split}.rec", _samples(cifar, split))

    try:
        return generated(name, build)
    except OSError as error:
        raise OSError(
            error.errno,
            f"{source}: the converted archive cannot be written ({error.strerror}); free some space, or set "
            "XDG_CACHE_HOME to another folder",
            error.filename,
        ) from error


def _samples(cifar: Cifar, split: Split) -> Iterator[tuple[bytes, int]]:
    for images, labels in cifar.images(split):
        for image, label in zip(images, labels.tolist(), strict=True):
            yield b"P6\n32 32\n255\n" + image.tobytes(), label


def _digest(source: Path) -> str:
    files = sorted(source.iterdir()) if source.is_dir() else [source] if source.exists() else []
    stamps = [(file.name, *_stamp(file.stat())) for file in files if file.is_file()]
    return hashlib.sha256(json.dumps([_VERSION, os.fspath(source), stamps]).encode()).hexdigest()[:16]


def _stamp(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns  # a copy may set the second back, but not the third

"""CIFAR-10 and CIFAR-100 from their archives: converted once into a record that DALI reads, without loss."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from nvidia.dali import pipeline_def

import dali_cutmix as dc
from dali_cutmix.sources import write_recordio
from dali_cutmix.utils import cache_folder, make_atomically
from pipelines.cifar_archive import Cifar, is_cifar
from pipelines.split import Split, check_split

PathLike = str | os.PathLike[str]
Root = PathLike | Sequence[PathLike] | Callable[..., tuple[Any, Any]]

MEAN = (125.3, 123.0, 113.9)
"""Mean of the pixels for each RGB channel in levels of 0 to 255, as the paper's authors had it."""
STD = (63.0, 62.1, 66.7)
"""Standard deviation of the pixels for each RGB channel in levels of 0 to 255, as the paper's authors had it."""
_VERSION = 1  # of the record: raise it when the same archive gives another


def read(path: PathLike, split: Split, **options: Any) -> tuple[Any, Any]:
    """Read a part of CIFAR, a verb; labels are those of the 10 or the 100 (fine) classes, whose names come along.

    The first call converts the archive and takes some seconds, see :func:`record`.

    Args:
        path: ``cifar-10-python.tar.gz``, ``cifar-100-python.tar.gz``, ``cifar-10-binary.tar.gz``,
            ``cifar-100-binary.tar.gz``, or the folder that one unpacks to.
        split: ``"train"``, or ``"val"``: the archive's test images.
        options: ``shard``, ``shuffle``, ``seed``, ``num_classes`` of ``dc.read_recordio``.

    Returns:
        See ``dc.read_folder``; the encoded images are PPM files of 32×32 pixels, which lose nothing.

    Raises:
        FileNotFoundError: the archive, or a file in it, is missing.
        ValueError: it is damaged or none of CIFAR, or another split.
        OSError: the record cannot be written.
    """
    check_split(split)
    folder = record(path)
    classes = json.loads((folder / "classes.json").read_text())
    return dc.read_recordio(folder / f"{split}.rec", classes=classes, **options)


def record(path: PathLike) -> Path:
    """The folder with ``train.rec`` and ``val.rec`` (RecordIO, each with its .idx), made on the first call.

    It lies in the cache (``$XDG_CACHE_HOME/dali_cutmix``, 190 MB) under a name that the archive's path, size and time
    of change give, and appears there whole or not at all: neither after a killed process nor while several convert at
    once (``torchrun``) does anybody read half of it. What a killed one wrote lies beside it, see
    ``dali_cutmix.utils.atomic_files.make_atomically``. A pickle in the archive is taken apart without running any code.

    Raises:
        FileNotFoundError, ValueError, OSError: see :func:`read`.
    """
    source = Path(os.path.abspath(path))
    folder = cache_folder() / f"cifar-{_digest(source)}"
    if folder.is_dir():
        return folder
    cifar = Cifar(source)

    def build(target: Path) -> None:
        target.mkdir()
        (target / "classes.json").write_text(json.dumps(cifar.classes))
        for split in get_args(Split):
            write_recordio(target / f"{split}.rec", _samples(cifar, split))

    try:
        make_atomically(folder, build)
    except OSError as error:
        raise OSError(
            error.errno,
            f"{source}, converted, cannot be kept ({error.strerror}); make room, or set XDG_CACHE_HOME elsewhere",
            str(folder),
        ) from error
    return folder


def _samples(cifar: Cifar, split: Split) -> Iterator[tuple[bytes, int]]:
    for images, labels in cifar.images(split):
        for image, label in zip(images, labels.tolist(), strict=True):
            yield b"P6\n32 32\n255\n" + image.tobytes(), label


def _digest(source: Path) -> str:
    files = sorted(source.iterdir()) if source.is_dir() else [source] if source.exists() else []
    stamps = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
    return hashlib.sha256(json.dumps([_VERSION, os.fspath(source), stamps]).encode()).hexdigest()[:16]


def train(
    root: Root,
    *,
    batch_size: int = 64,
    size: int = 32,
    padding: int = 4,
    num_classes: int | None = None,
    mix: dc.Policy | None = dc.CutMix(probability=0.5),
    targets: dc.Targets = "dense",
    device: str | torch.device = "auto",
    shard: tuple[int, int] = (0, 1),
    seed: int = 0,
    num_threads: int | None = None,
    prefetch: int = 2,
    dtype: torch.dtype | str = torch.float32,
    channels_last: bool = False,
    mean: tuple[float, ...] = MEAN,
    std: tuple[float, ...] = STD,
    flip: float = 0.5,
    max_pixels: int = dc.MAX_PIXELS,
    on_error: Literal["raise", "replace"] = "raise",
    max_bad: float = 0.01,
    bad_log: PathLike = "bad_files.jsonl",
) -> dc.Loader:
    """Images padded with zeros, cropped at random without resizing, flipped, mixed and normalized (paper, 4.1.2).

    Args:
        root: an archive of CIFAR or its folder (see :func:`read`), or what ``pipelines.imagenet.train`` takes.
        size: side of the crop in pixels.
        padding: zeros on each side of an image, in pixels.
        mean, std: of the pixels for each channel, in levels of 0 to 255.

    The other arguments, what is returned and what is raised are those of ``pipelines.imagenet.train``. Validation,
    which loses nothing, is ``imagenet.val(partial(cifar.read, root, "val"), size=32, resize=32, mean=MEAN, std=STD)``.
    """
    if callable(root):
        read_samples = root
    elif isinstance(root, (str, os.PathLike)) and is_cifar(root):
        read_samples = partial(read, root, "train")
    else:
        read_samples = partial(dc.read_folder, root)

    @pipeline_def
    def graph() -> Any:
        jpegs, labels = read_samples(shard=shard, seed=seed)
        images = dc.padded_crop(jpegs, size, padding=padding, max_pixels=max_pixels)
        images, *shares = dc.mix(images, labels, mix, num_classes=num_classes, targets=targets, flip=flip)
        return dc.normalize(images, mean=mean, std=std, dtype=dtype, channels_last=channels_last), *shares

    options = dc.pipeline_options(
        batch_size, device=device, num_threads=num_threads, prefetch=prefetch, seed=seed, shard=shard
    )
    return dc.Loader(graph(**options), on_error=on_error, max_bad=max_bad, bad_log=bad_log)

"""Read: which bytes, which label, which shard."""

import hashlib
import os
from numbers import Integral
from pathlib import Path
from typing import Any

from nvidia.dali import fn, types

from dali_cutmix.graph import Source, notes
from dali_cutmix.manifest import is_packed
from dali_cutmix.shards import Shards, source_of

READER = "reader"
EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")


def scan_folder(root: str | os.PathLike[str]) -> tuple[list[str], list[int], list[str]]:
    """List a folder of classes in sorted order: paths below ``root``, labels, class names.

    Raises:
        FileNotFoundError: ``root`` does not exist.
        ValueError: ``root`` is no folder, is packed, has no class folders, or a class holds no image.
    """
    folder = Path(root)
    wanted = "wanted is a folder with one subfolder for each class, each holding that class's images"
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such folder; {wanted}.")
    if not folder.is_dir():
        raise ValueError(f"{folder}: not a folder; {wanted}.")
    if is_packed(folder):
        raise ValueError(f"{folder}: packed by dali_cutmix.pack; wanted is the folder that was packed.")
    with os.scandir(folder) as entries:
        classes = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        found = "it holds files but no subfolders" if any(folder.iterdir()) else "it is empty"
        raise ValueError(f"{folder}: {found}; {wanted}.")
    files: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        with os.scandir(folder / name) as entries:
            names = sorted(entry.name for entry in entries if entry.name.lower().endswith(EXTENSIONS))
        if not names:
            raise ValueError(
                f"{folder / name}: no image in this class folder ({', '.join(EXTENSIONS)} are read); add images or "
                "remove the folder."
            )
        files += [os.path.join(name, file) for file in names]
        labels += [label] * len(names)
    return files, labels, classes


def check_shard(shard: tuple[int, int]) -> None:
    """Refuse a shard that is not (rank, world_size) with 0 ≤ rank < world_size."""
    match shard:
        case (int(rank), int(world_size)) if 0 <= rank < world_size:
            return
    raise ValueError(
        f"shard={shard!r} given; it is (rank, world_size) with 0 <= rank < world_size, (0, 1) for one process."
    )


def check_classes(num_classes: int, found: int) -> None:
    """Refuse what is no number of classes, and fewer than the labels need."""
    if not (isinstance(num_classes, Integral) and num_classes >= 1):
        raise ValueError(f"num_classes={num_classes!r} given; allowed is a whole number of at least 1.")
    if num_classes < found:
        raise ValueError(
            f"num_classes={num_classes} given, but the folder that is read has {found} classes, so labels go up to "
            f"{found - 1}; give at least {found}."
        )


def read_folder(
    root: str | os.PathLike[str],
    *,
    shard: tuple[int, int] = (0, 1),
    shuffle: bool = True,
    seed: int = 0,
    num_classes: int | None = None,
) -> tuple[Any, Any]:
    """Read a folder of classes, one subfolder for each class, labels in the sorted order of their names.

    Or what ``python -m dali_cutmix.pack`` made of one: the same samples, labels and order, from larger files.

    Args:
        root: the folder.
        shard: (rank, world_size). The shards of one epoch are disjoint and together hold every sample.
        shuffle: True for training: all samples are reshuffled over all shards in every epoch, and the ``Loader``
            drops the incomplete last batch. False for evaluation: sorted order, every sample exactly once.
        seed: of the shuffling; the same for all ranks.
        num_classes: refuse a folder with more classes than this.

    Returns:
        ``(jpegs, labels)``: encoded bytes (1-D uint8, CPU) and int64 scalars (CPU).

    Raises:
        FileNotFoundError: the folder is missing.
        ValueError: it is empty, has no classes or too many, the shard is impossible, or what was packed is not
            complete.
    """
    note = notes()
    check_shard(shard)
    root = os.path.abspath(root)
    ours = {"shard": shard, "seed": seed if shuffle else None}
    packed = Shards(root) if is_packed(root) else None
    source = source_of(packed, **ours) if packed else _source_of_folder(root, **ours)
    if num_classes is not None:
        check_classes(num_classes, len(source.classes))
    samples = len(source.files)
    if samples < shard[1]:
        raise ValueError(f"{root}: {samples} images for {shard[1]} shards; every shard needs at least one.")
    order = {"shuffle_after_epoch": True, "shuffle_after_epoch_seed": seed} if shuffle else {"stick_to_shard": True}
    jpegs, label = fn.readers.file(
        name=READER,
        # Of shards, the reader draws the numbers of the samples only
        files=[os.devnull] * samples if packed else list(source.files),
        labels=list(range(samples) if packed else source.labels),
        shard_id=shard[0],
        num_shards=shard[1],
        pad_last_batch=True,
        dont_use_mmap=True,  # as fast; with mmap a file that shrinks while it is read ends the process (SIGBUS)
        **order,
    )
    note.source = source
    if packed:
        note.jpegs = label
        outputs: Any = fn.python_function(label, function=packed, batch_processing=True, num_outputs=2)
        return tuple(outputs)
    note.jpegs = jpegs
    return jpegs, fn.cast(fn.squeeze(label, axes=[0]), dtype=types.INT64)


def _source_of_folder(root: str, **ours: Any) -> Source:
    files, labels, classes = scan_folder(root)
    digest = hashlib.sha256("\0".join(f"{f}\0{n}" for f, n in zip(files, labels, strict=True)).encode())
    return Source(
        files=tuple(os.path.join(root, file) for file in files),  # whole, as they are named in errors
        labels=tuple(labels),
        classes=tuple(classes),
        digest=digest.hexdigest(),
        **ours,
    )

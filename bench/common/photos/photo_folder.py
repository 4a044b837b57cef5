"""A folder of images to measure with: the user's, or the sample photographs; and links to it that make a long epoch."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from bench.common.photos.sample_photos import make_sample_photos
from dali_cutmix.sources import scan_folder
from dali_cutmix.utils import generated

EPOCH = 50_000
"""Images in a long epoch, at least."""


class PhotoFolder(NamedTuple):
    """A folder of classes: its path, the number of images, the class names, the bytes of all files together.

    ``chroma`` is the chroma subsampling of the sample photographs, ``4:2:0`` or ``mixed``; None (unknown) for a user's
    folder.
    """

    root: Path
    images: int
    classes: tuple[str, ...]
    size: int
    chroma: str | None = None


def open_photos(data: Path | None, device: str = "cpu") -> PhotoFolder:
    """Scan the user's folder of classes, or the sample photographs where no folder is given.

    The sample photographs for a GPU have mixed chroma subsampling.

    Raises:
        FileNotFoundError, ValueError: the folder is missing, empty or has no classes.
    """
    mixed = device != "cpu"
    chroma = None if data else "mixed" if mixed else "4:2:0"
    root = (data or make_sample_photos(mixed=mixed)).resolve()
    files, _, classes = scan_folder(root)
    size = sum((root / file).stat().st_size for file in files)
    return PhotoFolder(root, len(files), tuple(classes), size, chroma)


def digest(paths: list[Path]) -> str:
    """Hash the paths, sizes and times of change of files: the digest changes when a file does."""
    stats = [(str(path), path.stat()) for path in paths]
    key = repr([(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for path, stat in stats])
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def repeats(photos: PhotoFolder, epoch: int) -> int:
    """Number of times that each image appears in an epoch of at least ``epoch`` images."""
    return -(-epoch // photos.images)


def long_epoch(photos: PhotoFolder, epoch: int = 0) -> tuple[Path, int]:
    """Make a folder of links to the images, so many that an epoch is long; return it and its number of images.

    The end of an epoch costs time: a partial batch is dropped, workers run out of work. In an epoch of ImageNet that is
    nothing; in one of a few hundred images it would dominate.

    Args:
        photos: the images.
        epoch: images in an epoch, at least; ``EPOCH`` by default.
    """
    times = repeats(photos, epoch or EPOCH)
    if times == 1:
        return photos.root, photos.images
    files, labels, classes = scan_folder(photos.root)
    key = hashlib.sha256("\0".join([str(photos.root), *files]).encode()).hexdigest()[:16]

    def link(target: Path) -> None:
        for name in classes:
            (target / name).mkdir(parents=True)
        for file, label in zip(files, labels, strict=True):
            base = file.removeprefix(f"{classes[label]}/").replace("/", "-")
            for number in range(times):
                (target / classes[label] / f"{number:05d}-{base}").symlink_to(photos.root / file)

    return generated(f"epoch-{key}-{times}", link), times * photos.images

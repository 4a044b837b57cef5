"""The images to measure with: a folder of the user's, or one made from scikit-learn's two sample photographs."""

import hashlib
import os
import random
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from dali_cutmix.sources import scan_folder
from dali_cutmix.utils import cache_folder, make_atomically

SIZES = ((500, 375), (500, 333), (375, 500), (333, 500), (500, 400))  # the commonest of ImageNet
IMAGES = 400
QUALITY = 95
EPOCH = 50_000


class Photos(NamedTuple):
    """A folder of classes: where it is, how many images, the class names, the bytes of all files.

    ``chroma`` is that of the sample photographs, ``4:2:0`` or ``mixed``; nothing is known of a user's.
    """

    root: Path
    images: int
    classes: tuple[str, ...]
    size: int
    chroma: str | None = None


def open_photos(data: Path | None, device: str = "cpu") -> Photos:
    """Look at the user's folder of classes, or at the sample photographs where none is given.

    The sample photographs for a GPU have mixed chroma.

    Raises:
        FileNotFoundError, ValueError: the folder is missing, empty or has no classes.
    """
    mixed = device != "cpu"
    chroma = None if data else "mixed" if mixed else "4:2:0"
    root = (data or sample_photos(mixed=mixed)).resolve()
    files, _, classes = scan_folder(root)
    size = sum((root / file).stat().st_size for file in files)
    return Photos(root, len(files), tuple(classes), size, chroma)


def digest(paths: list[Path]) -> str:
    """Of a list of files; changes when a file does."""
    stats = [(str(path), path.stat()) for path in paths]
    key = repr([(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats])
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def repeats(photos: Photos, epoch: int) -> int:
    """How often each image comes in an epoch of at least this many."""
    return -(-epoch // photos.images)


def long_epoch(photos: Photos, epoch: int = 0) -> tuple[Path, int]:
    """A folder whose epoch is long, of links to the images, and how many it holds: at least ``epoch``, or ``EPOCH``.

    What the turn of an epoch costs (a part of a batch that is dropped, workers that run dry) is nothing in an epoch of
    ImageNet and would be much in one of a few hundred images.
    """
    times = repeats(photos, epoch or EPOCH)
    if times == 1:
        return photos.root, photos.images
    files, _, classes = scan_folder(photos.root)
    key = hashlib.sha256("\0".join([str(photos.root), *files]).encode()).hexdigest()[:16]

    def link(target: Path) -> None:
        for name in classes:
            (target / name).mkdir(parents=True)
        for file in files:
            name, base = os.path.split(file)
            for number in range(times):
                (target / name / f"{number:05d}-{base}").symlink_to(photos.root / file)

    root = cache_folder() / f"epoch-{key}-{times}"
    if not root.exists():
        make_atomically(root, link)
    return root, times * photos.images


def sample_photos(folder: Path | None = None, images: int = IMAGES, mixed: bool = False) -> Path:
    """Make JPEG files of ImageNet's sizes from scikit-learn's sample photographs, once.

    Args:
        folder: where to; below the cache folder by default.
        images: how many. The same number gives the same files (with the same Pillow and scikit-learn).
        mixed: a fifth of them 4:4:4 and one in fifty gray, about as in real data sets; else all are 4:2:0. A CPU
            decodes each in the same way, a GPU does not.

    Returns:
        The folder, with one subfolder for each photograph.
    """
    folder = folder or cache_folder() / f"sample-photos-{images}{'-mixed' if mixed else ''}"
    if not folder.exists():
        make_atomically(folder, lambda target: _write(target, images, mixed))
    return folder


def _write(folder: Path, images: int, mixed: bool) -> None:
    from sklearn.datasets import load_sample_images

    samples = load_sample_images()
    names = [Path(name).stem for name in samples.filenames]
    sources = [Image.fromarray(pixels) for pixels in samples.images]
    draw = random.Random(0)
    for name in names:
        (folder / name).mkdir(parents=True)
    for number in range(images):
        label = number % len(sources)
        source, (width, height) = sources[label], draw.choice(SIZES)
        fit = min(source.width / width, source.height / height)
        # Near their own scale the photographs keep the detail, and so the bytes, of a camera picture.
        scale = draw.uniform(0.85, 1.0) * fit
        w, h = int(width * scale), int(height * scale)
        x, y = draw.randint(0, source.width - w), draw.randint(0, source.height - h)
        crop = source.crop((x, y, x + w, y + h)).resize((width, height), Image.Resampling.LANCZOS)
        is_gray, is_full = mixed and number % 50 == 7, mixed and number % 5 == 3
        crop = crop.convert("L") if is_gray else crop
        path = folder / names[label] / f"{number:04d}.jpg"
        crop.save(path, quality=QUALITY, subsampling="4:4:4" if is_full else "4:2:0")

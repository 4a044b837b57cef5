"""JPEG files of ImageNet's sizes, made from scikit-learn's two sample photographs."""

import random
from pathlib import Path

from PIL import Image

from dali_cutmix.utils import generated, make_atomically

SIZES = ((500, 375), (500, 333), (375, 500), (333, 500), (500, 400))  # the most frequent ones of ImageNet
IMAGES = 400
QUALITY = 95


def make_sample_photos(folder: Path | None = None, images: int = IMAGES, mixed: bool = False) -> Path:
    """Make the files on first use.

    Args:
        folder: where to write them; by default a folder below the cache folder.
        images: number of files. The same number gives the same files (with the same Pillow and scikit-learn).
        mixed: make a fifth of them 4:4:4 and one in fifty grayscale, about as in real data sets; by default all are
            4:2:0. A CPU decodes all of these in the same way, a GPU does not.

    Returns:
        The folder, with one subfolder for each photograph.
    """

    def write(target: Path) -> None:
        _write(target, images, mixed)

    if folder is None:
        return generated(f"sample-photos-{images}{'-mixed' if mixed else ''}", write)
    if not folder.exists():
        make_atomically(folder, write)
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

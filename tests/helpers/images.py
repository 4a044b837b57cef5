"""Images written to files."""

from pathlib import Path

import numpy as np
from PIL import Image


def save(image, path, **options):
    """Write an image below a folder that is made for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **{"quality": 95} | options)


def write_photos(root: Path, images: int = 24) -> Path:
    """A folder of noise images, 96×80 pixels, in three classes."""
    noise = np.random.default_rng(0)
    for number in range(images):
        pixels = noise.integers(0, 256, (5, 6, 3), np.uint8)
        folder = root / f"class{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((96, 80)).save(folder / f"{number}.jpg")
    return root

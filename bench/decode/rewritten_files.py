"""JPEGs written anew: with restart markers, or with half of their pixels."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image, JpegImagePlugin

from bench.decode.ways import Files

MARKERS = 2
"""MCUs from one restart marker to the next: tiles of 32 pixels where chroma is halved."""


def rewrite(files: Sequence[Path], folder: Path, how: Files, threads: int) -> list[Path]:
    """Write each file into ``folder`` with its own quantization and chroma subsampling, as a baseline JPEG.

    Pixels are decoded and encoded once more. That costs them little, and a decoder's rate nothing.
    """
    targets = [folder / f"{number:05d}.jpg" for number in range(len(files))]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(partial(_write, how), files, targets))
    return targets


def _write(how: Files, source: Path, target: Path) -> None:
    with Image.open(source) as image:
        image.load()
    options = {}
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        options = {"qtables": image.quantization, "subsampling": JpegImagePlugin.get_sampling(image)}
    if how == "restart markers":
        image.save(target, "JPEG", restart_marker_blocks=MARKERS, **options)
        return
    # From the corner, so that blocks stay blocks.
    width, height = (max(1, round(side / math.sqrt(2))) for side in image.size)
    half = image.crop((0, 0, width, height))
    half.save(target, "JPEG", **options)

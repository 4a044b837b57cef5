"""Rewritten JPEG files: with restart markers, or with half of their pixels."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image, JpegImagePlugin

from bench.decode.ways import FileKind

MARKERS = 2
"""MCUs between two restart markers: 32 pixels in a row where chroma is subsampled."""


def rewrite(files: Sequence[Path], folder: Path, kind: FileKind, threads: int) -> list[Path]:
    """Write each file into ``folder`` as a baseline JPEG with the same quantization and chroma subsampling.

    The pixels are decoded and encoded once more, which changes them little and the speed of decoding not at all.
    """
    targets = [folder / f"{number:05d}.jpg" for number in range(len(files))]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(partial(_write, kind), files, targets))
    return targets


def _write(kind: FileKind, source: Path, target: Path) -> None:
    with Image.open(source) as image:
        image.load()
    options = {}
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        options = {"qtables": image.quantization, "subsampling": JpegImagePlugin.get_sampling(image)}
    if kind == "restart markers":
        image.save(target, "JPEG", restart_marker_blocks=MARKERS, **options)
        return
    # Cropped at the corner, so that the blocks stay the same.
    width, height = (max(1, round(side / math.sqrt(2))) for side in image.size)
    half = image.crop((0, 0, width, height))
    half.save(target, "JPEG", **options)

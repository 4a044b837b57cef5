"""The arguments of this library's loader to tune, and the values that may be faster on a machine and its data."""

from pathlib import Path

from PIL import Image

from bench.common.photos import PhotoFolder
from bench.tune.search import Tunable
from dali_cutmix.sources import scan_folder

MOST_CORES = 64
"""Cores above which numbers of threads are derived from this many: a loader does not need hundreds."""
SAMPLE = 1000
"""Files whose headers are read to find the largest image."""


def candidates(photos: PhotoFolder, device: str, cores: int) -> list[Tunable]:
    """List the arguments in the order in which to search; those of nvJPEG on a GPU only.

    Raises:
        ValueError: no file could be read as an image.
    """
    settings = [threads(cores)]
    if device != "cpu":
        settings += [
            # Larger shares first, as time may not suffice for all: the default suits GPUs with one JPEG engine.
            Tunable("hw_decoder_load", 0.65, (0.8, 0.9, 1.0, 0.5, 0.0)),
            Tunable("preallocate", (0, 0), (largest_image(photos),)),
        ]
    return [*settings, Tunable("prefetch", 2, (1, 4))]


def threads(cores: int) -> Tunable:
    """List numbers of threads from half of the cores to twice as many; the default is one for each core."""
    counted = min(cores, MOST_CORES)
    shares = {max(1, round(counted * share)) for share in (0.5, 0.75, 1, 1.5, 2)}
    return Tunable("num_threads", cores, tuple(sorted(shares - {cores})))


def largest_image(photos: PhotoFolder) -> tuple[int, int]:
    """Find the largest width and height in pixels, from the headers of a sample spread evenly over the files.

    Raises:
        ValueError: none of the files could be read as an image.
    """
    files = scan_folder(photos.root)[0]
    sample = files[:: -(-len(files) // SAMPLE)]
    sizes = [size for file in sample if (size := _size(photos.root / file))]
    if not sizes:
        raise ValueError(
            f"{photos.root}: none of {len(sample)} files could be read as an image; check that they are JPEGs."
        )
    return max(width for width, _ in sizes), max(height for _, height in sizes)


def _size(path: Path) -> tuple[int, int] | None:
    try:
        with Image.open(path) as image:
            return image.size
    except OSError:  # the loader reports it
        return None

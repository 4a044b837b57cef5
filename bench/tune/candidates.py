"""Which settings of this library's loader are worth a measurement on a machine and its data."""

from pathlib import Path

from PIL import Image

from bench.common import Photos
from bench.tune.search import Setting
from dali_cutmix.sources import scan_folder

MOST_CORES = 64
"""From more cores than this, numbers of threads are counted from this many: nobody decodes with hundreds."""
SAMPLE = 1000
"""Files whose headers are read for the largest image."""

NAMES = ("num_threads", "hw_decoder_load", "preallocate", "prefetch")


def candidates(photos: Photos, device: str, cores: int) -> list[Setting]:
    """The settings in the order in which to search; those of nvJPEG only on a GPU.

    Raises:
        ValueError: no file could be read as an image.
    """
    settings = [threads(cores)]
    if device != "cpu":
        settings += [
            # More first, where the time may not suffice for all: the default is from GPUs with one JPEG engine.
            Setting("hw_decoder_load", 0.65, (0.8, 0.9, 1.0, 0.5, 0.0)),
            Setting("preallocate", (0, 0), (largest_image(photos),)),
        ]
    return [*settings, Setting("prefetch", 2, (1, 4))]


def threads(cores: int) -> Setting:
    """From half of the cores to twice as many; the default is one for each."""
    counted = min(cores, MOST_CORES)
    shares = {max(1, round(counted * share)) for share in (0.5, 0.75, 1, 1.5, 2)}
    return Setting("num_threads", cores, tuple(sorted(shares - {cores})))


def largest_image(photos: Photos) -> tuple[int, int]:
    """Largest width and largest height, in pixels, in a sample spread evenly over the files; from their headers.

    Raises:
        ValueError: none of them could be read as an image.
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
    except OSError:  # the loader names it when it comes to it
        return None

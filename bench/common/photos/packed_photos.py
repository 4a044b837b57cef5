"""The images packed to a smaller size: as shards for this library, and as the same JPEG files for FFCV."""

from pathlib import Path

from bench.common.photos.photo_folder import PhotoFolder, digest, long_epoch, repeats
from dali_cutmix.pack import cli
from dali_cutmix.sources import PackedFolder, scan_folder
from dali_cutmix.utils import make_atomically, make_cache_folder

QUALITY = 90
EPOCH = 8_000
"""Images in an epoch of shards, at least: fewer than in an epoch of links, as each of them is encoded."""


def pack_photos(photos: PhotoFolder, short_side: int, workers: int) -> Path:
    """Pack the images on first use; an interrupted run continues where it stopped.

    Returns:
        A folder of shards.

    Raises:
        ValueError: they cannot be packed; the reasons were printed.
    """
    files, _, _ = scan_folder(photos.root)
    name = digest([photos.root / file for file in files])
    folder = make_cache_folder() / f"packed-{name}-{short_side}-{repeats(photos, EPOCH)}"
    source, _ = long_epoch(photos, EPOCH)
    options = [f"--short-side={short_side}", f"--quality={QUALITY}", f"--workers={workers}"]
    if cli.main([str(source), str(folder), *options]) != 0:
        raise ValueError(f"--short-side {short_side} given, but {photos.root} cannot be packed; see above.")
    return folder


def as_files(packed: Path) -> Path:
    """Write the JPEGs of a packed folder as a folder of classes: the same bytes, for loaders that read no shards."""

    def write(target: Path) -> None:
        shards = PackedFolder(packed)
        for name in shards.classes:
            (target / name).mkdir(parents=True)
        for number in range(len(shards)):
            path = target / shards.classes[shards.labels[number]] / f"{number:08d}.jpg"
            path.write_bytes(shards.read(number)[0].tobytes())

    folder = packed.with_name(f"{packed.name}-files")
    if not folder.exists():
        make_atomically(folder, write)
    return folder

"""The settings that are the same for all loaders of a comparison."""

from dataclasses import asdict
from typing import Any

from bench.common.cli import usable_cores
from bench.common.photos import PhotoFolder, long_epoch
from bench.loaders.contenders import Settings
from dali_cutmix.utils import cache_folder


def settings_for(photos: PhotoFolder, *, size: int, batch_size: int, threads: int, device: str) -> Settings:
    """Make the settings for these images; ``threads`` 0 means one for each usable core."""
    root, images = long_epoch(photos)
    return Settings(
        data=root,
        images=images,
        num_classes=len(photos.classes),
        size=size,
        batch_size=batch_size,
        threads=threads or usable_cores(),
        device=device,
        cache=cache_folder(),
    )


def shared_settings(settings: Settings, photos: PhotoFolder, seconds: float, rounds: int) -> dict[str, Any]:
    """Make the settings' entry in the JSON."""
    same = asdict(settings)
    # Paths of this machine mean nothing on another.
    del same["data"], same["cache"], same["images"], same["packed"]
    return {
        **same,
        "images": photos.images,
        "epoch_images": settings.images,
        "chroma": photos.chroma,
        "mean_file_bytes": round(photos.size / photos.images),
        "seconds": seconds,
        "rounds": rounds,
    }

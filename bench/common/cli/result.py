"""A result as JSON: what was measured, where, with what."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.common.contender import Settings
from bench.common.photos import Photos
from dali_cutmix.utils import write_atomically
from train.reporting import machine, versions


def new_result(benchmark: str, device: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The head of a result; the measurements are the benchmark's to add."""
    return {
        "benchmark": benchmark,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(device),
        "versions": versions(),
        "settings": settings,
    }


def shared_settings(settings: Settings, photos: Photos, seconds: float, rounds: int) -> dict[str, Any]:
    """What was equal for all."""
    same = asdict(settings)
    # Where it lies on one machine says nothing on another.
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


def write_json(path: Path, result: dict[str, Any]) -> None:
    """Write whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(result, indent=2) + "\n").encode())

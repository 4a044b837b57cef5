"""Helpers of the benchmarks' tests: a folder of small JPEGs, a cache folder of their own, who is still running."""

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.common.photos import packed_photos, photo_folder


def write_photos(root: Path, images: int = 24) -> Path:
    """Noise, 96×80 pixels, in three classes."""
    noise = np.random.default_rng(0)
    for number in range(images):
        pixels = noise.integers(0, 256, (5, 6, 3), np.uint8)
        folder = root / f"class{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((96, 80)).save(folder / f"{number}.jpg")
    return root


def is_running(pid) -> bool:
    """A zombie is not; whoever is init here may be slow to collect what was left to it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def are_gone(pids, within: float = 5.0) -> bool:
    """Whether all of them end in time."""
    end = time.monotonic() + within
    while any(map(is_running, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(is_running, pids))


@pytest.fixture(scope="module", autouse=True, name="small_cache")
def cache_fixture(tmp_path_factory):
    """Long epochs are short ones, in a folder of this test module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        for module in (photo_folder, packed_photos):
            patch.setattr(module, "EPOCH", 48)
        yield


@pytest.fixture(scope="module", name="data")
def data_fixture(tmp_path_factory):
    """A folder of 24 images."""
    return write_photos(tmp_path_factory.mktemp("photos"))

"""What nvImageCodec's log says about who decoded."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LEVEL = "DALI_NVIMGCODEC_LOG_LEVEL"
"""Read whenever a DALI decoder is made. 1: errors, 2: warnings too (DALI's default), 3: a line for each image."""

_BATCH = re.compile(r"\] decode num_samples=(\d+)")
_IMAGE = re.compile(r"\b(\w+_decoder) process #\d+")
_ENGINES = re.compile(r"num_hw_engines=(\d+) num_cores_per_hw_engine=(\d+)")
_HARDWARE = "nvjpeg_hw_decoder"


@dataclass(frozen=True)
class Decoded:
    """Images by who decoded them."""

    hardware: int
    cuda: int
    cpu: int


def count(log: str) -> Decoded:
    """Count images in a log of level 3.

    Every decoder that takes images one by one logs each. The hardware decoder takes its share of a batch at once and
    logs no image: images that no other decoder logged were decoded by the hardware. What it gave up is decoded, and
    counted, by the next one.
    """
    total = sum(map(int, _BATCH.findall(log)))
    names = [name for name in _IMAGE.findall(log) if name != _HARDWARE]
    cuda = sum(name.startswith("nvjpeg_") for name in names)
    cpu = len(names) - cuda
    return Decoded(max(0, total - cuda - cpu), cuda, cpu)


def engines(log: str) -> tuple[int, int] | None:
    """JPEG engines of the GPU, and cores of each; None where the log names none."""
    found = _ENGINES.search(log)
    return (int(found[1]), int(found[2])) if found else None


@contextmanager
def logged() -> Iterator[list[str]]:
    """Have nvImageCodec log each image, to a file; its text is there at the end."""
    text: list[str] = []
    kept = os.dup(2)
    os.environ[LEVEL] = "3"
    with tempfile.TemporaryFile() as file:
        sys.stderr.flush()
        os.dup2(file.fileno(), 2)
        try:
            yield text
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.environ[LEVEL] = "1"
            file.seek(0)
            text.append(file.read().decode(errors="replace"))

"""nvImageCodec's log: how many images the hardware decoder, CUDA and the CPU decoded."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LEVEL = "DALI_NVIMGCODEC_LOG_LEVEL"
"""Variable with the log level, read when a DALI decoder is created.

1: errors; 2: warnings, too (DALI's default); 3: a line for each image.
"""

_BATCH = re.compile(r"\] decode num_samples=(\d+)")
_IMAGE = re.compile(r"\b(\w+_decoder) process #\d+")
_ENGINES = re.compile(r"num_hw_engines=(\d+) num_cores_per_hw_engine=(\d+)")
_HARDWARE = "nvjpeg_hw_decoder"


@dataclass(frozen=True)
class DecoderCounts:
    """Numbers of images by what decoded them."""

    hardware: int
    cuda: int
    cpu: int


def count_images(log: str) -> DecoderCounts:
    """Count images in a log of level 3.

    Decoders that take images one by one log each image. The hardware decoder takes its share of a batch at once and
    logs none: images that no other decoder logged were decoded by the hardware. Images that the hardware decoder cannot
    decode are decoded, and logged, by the next decoder.
    """
    total = sum(map(int, _BATCH.findall(log)))
    names = [name for name in _IMAGE.findall(log) if name != _HARDWARE]
    cuda = sum(name.startswith("nvjpeg_") for name in names)
    cpu = len(names) - cuda
    return DecoderCounts(max(0, total - cuda - cpu), cuda, cpu)


def engines(log: str) -> tuple[int, int] | None:
    """Read the number of the GPU's JPEG engines and the cores of each; None where the log has none."""
    found = _ENGINES.search(log)
    return (int(found[1]), int(found[2])) if found else None


@contextmanager
def capture_log() -> Iterator[list[str]]:
    """Have nvImageCodec log each image; at the end of the block the list holds the log's text.

    Only decoders that are created and end within the block are logged.
    """
    text: list[str] = []
    stderr = os.dup(2)
    os.environ[LEVEL] = "3"
    with tempfile.TemporaryFile() as file:
        sys.stderr.flush()
        os.dup2(file.fileno(), 2)
        try:
            yield text
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            os.environ[LEVEL] = "1"
            file.seek(0)
            text.append(file.read().decode(errors="replace"))

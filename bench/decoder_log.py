"""What nvImageCodec's log says about who decoded."""

import re
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

    @property
    def images(self) -> int:
        """All of them."""
        return self.hardware + self.cuda + self.cpu


def count(log: str) -> Decoded:
    """Count images in a log of level 3.

    Every decoder that takes images one by one logs each. The hardware decoder takes what is its share of a batch
    at once and logs no image: its are those that nobody else decoded. What it gave up is decoded, and counted, by the
    next one.
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

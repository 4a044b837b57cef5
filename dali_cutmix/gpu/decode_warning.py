"""Warn, before a GPU's loader starts, that the CPU will decode images instead of the GPU."""

import warnings
from functools import cache

import numpy as np

from dali_cutmix.gpu import nvjpeg_limits
from dali_cutmix.sources import Source

LOOKED_AT = 16
"""Number of images whose headers are read, spread evenly over the data set."""


def warn_of_cpu_decoding(source: Source, *, regions: bool) -> None:
    """Warn in one line, once in a process, if DALI would decode images on the CPU although there is a GPU.

    Args:
        source: what is read.
        regions: whether the graph decodes regions, not whole images.
    """
    line = nvjpeg_limits.not_on_gpu(
        _some_images(source), regions=regions, fancy_upsampling=True, nvjpeg=nvjpeg_limits.library()
    )
    if line:
        _warn(line)


@cache  # once for training and evaluation, whatever Python's filter of warnings
def _warn(line: str) -> None:
    warnings.warn(line, stacklevel=5)


def _some_images(source: Source) -> list[np.ndarray]:
    """Read some images; those that cannot be read are left to the loader, which reports them when they are needed."""
    images = []
    for number in sorted({len(source) * i // LOOKED_AT for i in range(LOOKED_AT)}):
        try:
            images.append(source.encoded(number))
        except (OSError, RuntimeError):
            continue
    return images

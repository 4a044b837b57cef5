"""Images that a GPU will not decode, and why: facts about nvJPEG and nvImageCodec, DALI's decoder."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dali_cutmix._dali import Nvjpeg, library, library_path, load
from dali_cutmix.gpu.jpeg_header import chroma

__all__ = ["Nvjpeg", "chroma", "library", "load", "not_on_gpu"]

_OLDEST = (12, 1, 0)  # nvImageCodec registers no decoder with an older one
_FANCY_REGIONS = (13, 2, 0)  # with an older one it refuses regions of images with subsampled chroma
_NO_UPSAMPLING = ("4:4:4", "gray")


def not_on_gpu(images: Sequence[Any], *, regions: bool, fancy_upsampling: bool, nvjpeg: Nvjpeg | None) -> str | None:
    """Say in one line that the CPU will decode images instead of the GPU, why, and what to do about it.

    Args:
        images: encoded files of the data set, bytes or one-dimensional arrays of uint8; a few are enough.
        regions: whether the graph decodes regions, not whole images.
        fancy_upsampling: the graph's ``jpeg_fancy_upsampling``.
        nvjpeg: the library, from :func:`library`.

    Returns:
        The line; None if the GPU will decode them.
    """
    if nvjpeg is None:
        return (
            "The CPU, not the GPU, will decode all images: no nvJPEG library was found. "
            "pip install 'dali_cutmix[cuda12]' or 'dali_cutmix[cuda13]' brings one."
        )
    if nvjpeg.version < _OLDEST:
        return (
            f"The CPU, not the GPU, will decode all images: {nvjpeg} is older than 12.1, the oldest that DALI's "
            f"decoder works with. To fix it, {_newer(nvjpeg)}."
        )
    formats = Counter(name for image in images if (name := _other_format(image)))
    refused: Counter[str] = Counter()
    if regions and fancy_upsampling and nvjpeg.version < _FANCY_REGIONS:
        refused.update(name for image in images if (name := chroma(image)) and name not in _NO_UPSAMPLING)
    reasons = []
    if refused:
        newer = "install 'dali_cutmix[cuda13]' in place of [cuda12] (driver for CUDA 13)"
        reasons.append(
            f"{_counted(refused)}: with fancy upsampling, a GPU decodes regions of these with nvJPEG 13.2 or newer "
            f'only, not with {nvjpeg}. Pass decode="whole", or {newer if nvjpeg.version < (13,) else _newer(nvjpeg)}.'
        )
    if formats:
        reasons.append(f"{_counted(formats)}, which a GPU does not decode: convert them to JPEG.")
    if not reasons:
        return None
    part = f"{refused.total() + formats.total()} of {len(images)} images looked at"
    return " ".join([f"The CPU, not the GPU, will decode {part}.", *reasons])


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{count} {'is' if count == 1 else 'are'} {kind}" for kind, count in kinds.most_common())


def _newer(nvjpeg: Nvjpeg) -> str:
    """Say how to get a newer nvJPEG of the same major version."""
    if str(Path(nvjpeg.path).parent) in map(os.path.realpath, library_path()):
        return "unset LD_LIBRARY_PATH, which brings this one"
    if "torchvision" in nvjpeg.path:
        return "import dali_cutmix before torchvision, which brings this one"
    return f"pip install --upgrade nvidia-nvjpeg{'-cu12' if nvjpeg.version < (13,) else ''}"


def _other_format(encoded: Any) -> str | None:
    """Name of a common format that DALI decodes on the CPU only; None for any other."""
    start = bytes(memoryview(encoded).cast("B")[:12])
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if start.startswith(b"BM"):
        return "BMP"
    return "WebP" if start[:4] == b"RIFF" and start[8:] == b"WEBP" else None

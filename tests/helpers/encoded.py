"""Encoded images in memory, of any mode and format, and two releases of nvJPEG."""

import io

import numpy as np
from PIL import Image

from dali_cutmix.gpu.nvjpeg_limits import Nvjpeg

OF_CUDA_12 = Nvjpeg("/site-packages/nvidia/nvjpeg/lib/libnvjpeg.so.12", (12, 4, 0))
OF_CUDA_13 = Nvjpeg("/site-packages/nvidia/cu13/lib/libnvjpeg.so.13", (13, 3, 2))


def picture(mode="RGB", kind="JPEG", **options):
    """The bytes of a noise image, 48×40."""
    rng = np.random.default_rng(0)
    bands = len(mode)
    image = Image.frombytes(mode, (48, 40), rng.integers(0, 256, 48 * 40 * bands, np.uint8).tobytes())
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()

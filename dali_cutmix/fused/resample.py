"""Resample: resample, flip, paste, normalize and cast a batch in one pass."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dali_cutmix.fused.batch_layout import BatchFormat, Crops, sample_table
from dali_cutmix.fused.cpu import CpuKernel
from dali_cutmix.fused.cuda import GpuKernel
from dali_cutmix.gpu import gpu_of
from dali_cutmix.ops import IMAGENET_MEAN, IMAGENET_STD, as_dtype
from dali_cutmix.utils import check_levels, check_size


class Resample:
    """Decoded crops and a plan in, a batch out, on the device that the crops are on.

    Outside the box an output pixel is resampled from the sample's own crop, inside it from its partner's, each once:
    bilinear, antialiased on downscale as DALI's resize; it is then normalized and cast. The pixels differ from those of
    ``random_resized_crop`` → ``mix`` → ``normalize`` by less than 2 of 255 levels: nothing is rounded in between.

    Args:
        size: side of the images in pixels.
        mean, std: one number for all channels, or three, one for each, see :func:`~dali_cutmix.normalize`.
        dtype: float32, float16 or bfloat16.
        channels_last: memory format of the result.
        num_threads: threads that work on a batch on the CPU, without the GIL.

    Raises:
        ValueError: an invalid size, mean, std or dtype.

    Example:
        >>> import numpy as np
        >>> crops = [np.zeros((90, 120, 3), np.uint8), np.full((70, 50, 3), 255, np.uint8)]
        >>> #       partner  x1  y1  x2  y2  flip  weight
        >>> plan = [[     1,  0,  0, 32, 64,    0,      0],  # the left half from the other crop
        ...         [     0,  0,  0,  0,  0,    1,      0]]  # no box; flipped
        >>> if dc.can_fuse(None, None):  # the compiled part is there
        ...     images = dc.Resample(64, mean=(0, 0, 0), std=(255, 255, 255))(crops, np.array(plan, np.int32))
        ...     assert images.shape == (2, 3, 64, 64) and images[0, 0, 0, [0, 63]].tolist() == [1, 0]
    """

    def __init__(
        self,
        size: int = 224,
        *,
        mean: float | Sequence[float] = IMAGENET_MEAN,
        std: float | Sequence[float] = IMAGENET_STD,
        dtype: torch.dtype | str = torch.float32,
        channels_last: bool = False,
        num_threads: int = 1,
    ) -> None:
        size = check_size("size", size)
        means, stds = (values * 3 if len(values) == 1 else values for values in check_levels(mean, std))
        scale = tuple(1 / s for s in stds)
        shift = tuple(-m / s for m, s in zip(means, stds, strict=True))
        self._format = BatchFormat(size, as_dtype(dtype), channels_last, scale, shift)
        self._on_cpu = CpuKernel(self._format, num_threads)
        self._on_gpu = GpuKernel(self._format)

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return self._format.size

    def __call__(self, crops: Crops, plan: np.ndarray, windows: np.ndarray | None = None) -> Tensor:
        """Finish a batch.

        Args:
            crops: N arrays H×W×3, uint8, contiguous, each of its own size: an output of a DALI pipeline, or NumPy
                arrays.
            plan: N×7, int32, on the host (see :mod:`dali_cutmix.mixing.plan`); boxes are in pixels of the output.
            windows: N×4, whole numbers: y, x, height and width in pixels of the region to use of each crop; by default
                all of it. Whole images then need no copy of the region.

        Returns:
            N×3×size×size in new memory; on a GPU on PyTorch's current stream, without waiting.
        """
        gpu = gpu_of(crops)
        samples = sample_table(crops, plan, windows)
        return self._on_cpu(samples) if gpu is None else self._on_gpu(samples, gpu, crops)

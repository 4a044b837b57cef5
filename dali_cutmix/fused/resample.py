"""Resample, flip, paste, normalize and cast in one pass, at the hand-off, where the batch is one tensor."""

import numpy as np
import torch
from torch import Tensor

from dali_cutmix.fused.batch_layout import Crops, Format, table
from dali_cutmix.fused.cpu import OnCpu
from dali_cutmix.fused.cuda import OnGpu
from dali_cutmix.gpu import gpu_of
from dali_cutmix.ops import IMAGENET_MEAN, IMAGENET_STD, as_dtype
from dali_cutmix.utils import check_size


class Resample:
    """Decoded crops and a plan in, the batch out, where the crops are: on the CPU or on a GPU.

    Outside the box an output pixel is resampled from the sample's own crop, inside it from its partner's, each once;
    bilinear, antialiased on downscale as DALI's resize; then normalized and cast. The pixels differ from those of
    ``random_resized_crop`` → ``mix`` → ``normalize`` by less than 2 of 255 levels: nothing is rounded in between.

    Args:
        size: side of the images in pixels.
        mean, std: one value for each of three channels, in levels of 0 to 255.
        dtype: float32, float16 or bfloat16.
        channels_last: memory format of the result.
        num_threads: that share the batch on the CPU, none of them under the GIL.
    """

    def __init__(
        self,
        size: int = 224,
        *,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
        dtype: torch.dtype | str = torch.float32,
        channels_last: bool = False,
        num_threads: int = 1,
    ) -> None:
        check_size("size", size)
        scale = tuple(1 / s for s in std)
        shift = tuple(-m / s for m, s in zip(mean, std, strict=True))
        self._format = Format(size, as_dtype(dtype), channels_last, scale, shift)
        self._on_cpu = OnCpu(self._format, num_threads)
        self._on_gpu = OnGpu(self._format)

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return self._format.size

    def __call__(self, crops: Crops, plan: np.ndarray, windows: np.ndarray | None = None) -> Tensor:
        """Finish a batch.

        Args:
            crops: N arrays H×W×3, uint8, contiguous, each of its own size: an output of a DALI pipeline, or NumPy
                arrays.
            plan: N×7, int32, on the host (see :mod:`dali_cutmix.mixing.plan`), boxes in pixels of the output.
            windows: N×4, whole numbers: y, x, height and width in pixels of what is taken of each crop; all of it by
                default. So whole images need no copy of what is taken of them.

        Returns:
            N×3×size×size in new memory; on a GPU without waiting, on PyTorch's current stream.
        """
        gpu = gpu_of(crops)
        samples = table(crops, plan, windows)
        return self._on_cpu(samples) if gpu is None else self._on_gpu(samples, gpu, crops)

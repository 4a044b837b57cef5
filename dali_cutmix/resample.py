"""Resample, flip, paste, normalize and cast in one compiled pass, at the hand-off, where the batch is one tensor."""

import ctypes
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

from dali_cutmix.decode import check_size
from dali_cutmix.normalization import IMAGENET_MEAN, IMAGENET_STD, as_dtype
from dali_cutmix.plan import COLUMNS

_DTYPES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}


class _Output(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("height", ctypes.c_int),
        ("width", ctypes.c_int),
        ("dtype", ctypes.c_int),
        ("channels_last", ctypes.c_int),
        ("scale", ctypes.c_float * 3),
        ("shift", ctypes.c_float * 3),
    ]


@cache
def _library() -> ctypes.CDLL | None:
    path = files("dali_cutmix").joinpath("libresample.so")
    return ctypes.CDLL(str(path)) if path.is_file() else None


def is_compiled() -> bool:
    """True where the compiled library was built; without it the graph's own operators do the same work."""
    return _library() is not None


class _Buffers:
    """Memory of batches that nobody holds any more, for the next ones: new pages cost more than the kernel itself."""

    def __init__(self) -> None:
        self._buffers: list[np.ndarray] = []

    def take(self, size: int) -> np.ndarray:
        """``size`` bytes. A tensor on the buffer, and every view of that tensor, hold a reference to it."""
        for buffer in self._buffers:
            if buffer.size == size and sys.getrefcount(buffer) == _REFERENCES_WHEN_FREE:
                return buffer
        buffer = np.empty(size, np.uint8)
        self._buffers = [*self._buffers[1 - _KEPT :], buffer]
        return buffer


# One with the consumer, one prepared ahead, one in the making, one spare; more are given back to the system.
_KEPT = 4


def _references_when_free() -> int:
    """How many references a buffer has in ``_Buffers.take`` that only its list holds: it depends on the Python."""
    for buffer in [np.empty(0, np.uint8)]:
        return sys.getrefcount(buffer)
    raise AssertionError


_REFERENCES_WHEN_FREE = _references_when_free()


class Resample:
    """Decoded crops and a plan in, the batch out.

    Outside the box an output pixel is resampled from the sample's own crop, inside it from its partner's, each once;
    bilinear, antialiased on downscale as DALI's resize; then normalized and cast. The pixels differ from those of
    ``random_resized_crop`` → ``mix`` → ``normalize`` by less than 2 of 255 levels: nothing is rounded in between.

    Args:
        size: side of the images in pixels.
        mean, std: one value for each of three channels, in levels of 0 to 255.
        dtype: float32, float16 or bfloat16.
        channels_last: memory format of the result.
        num_threads: that share the batch, none of them under the GIL.
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
        self.size = size
        self._dtype = as_dtype(dtype)
        self._channels_last = channels_last
        self._buffers = _Buffers()
        self._scale = [1 / s for s in std]
        self._shift = [-m / s for m, s in zip(mean, std, strict=True)]
        self._num_threads = num_threads
        self._pool = ThreadPoolExecutor(num_threads - 1, "resample") if num_threads > 1 else None

    def _empty(self, n: int) -> Tensor:
        bytes_ = n * 3 * self.size**2 * self._dtype.itemsize
        images = torch.from_numpy(self._buffers.take(bytes_)).view(self._dtype)
        if self._channels_last:
            return images.view(n, self.size, self.size, 3).permute(0, 3, 1, 2)
        return images.view(n, 3, self.size, self.size)

    def __call__(self, crops: Sequence[np.ndarray], plan: np.ndarray) -> Tensor:
        """Finish a batch.

        Args:
            crops: N arrays H×W×3, uint8, contiguous, each of its own size.
            plan: N×7, int32 (see :mod:`dali_cutmix.plan`), boxes in pixels of the output.

        Returns:
            N×3×size×size, in new memory.
        """
        library = _library()
        assert library is not None  # is_compiled() says so
        n = len(crops)
        images = self._empty(n)
        output = _Output(
            images.data_ptr(),
            self.size,
            self.size,
            _DTYPES[self._dtype],
            self._channels_last,
            (ctypes.c_float * 3)(*self._scale),
            (ctypes.c_float * 3)(*self._shift),
        )
        plan = np.ascontiguousarray(plan, np.int32).reshape(n, len(COLUMNS))
        pointers = np.array([crop.ctypes.data for crop in crops], np.uintp)
        shapes = np.array([crop.shape[:2] for crop in crops], np.int32)
        taken = ctypes.c_int(0)

        def work() -> None:
            library.dali_cutmix_finish(
                ctypes.c_void_p(pointers.ctypes.data),
                ctypes.c_void_p(shapes.ctypes.data),
                ctypes.c_void_p(plan.ctypes.data),
                n,
                ctypes.byref(output),
                ctypes.byref(taken),
            )

        helpers = [self._pool.submit(work) for _ in range(self._num_threads - 1)] if self._pool else []
        work()
        wait(helpers)
        return images

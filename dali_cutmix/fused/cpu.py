"""The fused pass on the CPU: compiled code in several threads, without the GIL, into memory that is reused."""

import ctypes
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

from dali_cutmix.fused.batch_layout import DTYPES, BatchFormat


class _Output(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_int),
        ("dtype", ctypes.c_int),
        ("channels_last", ctypes.c_int),
        ("scale", ctypes.c_float * 3),
        ("shift", ctypes.c_float * 3),
        ("simple", ctypes.c_int),
    ]


@cache
def _library() -> ctypes.CDLL | None:
    path = files("dali_cutmix.fused").joinpath("libresample.so")
    return ctypes.CDLL(str(path)) if path.is_file() else None


def is_compiled() -> bool:
    """Whether the compiled library was built; without it the graph's own operators do the same work."""
    return _library() is not None


class Buffers:
    """Memory of earlier batches, reused once nobody refers to them: new pages cost more than the kernel itself."""

    def __init__(self) -> None:
        self._buffers: list[np.ndarray] = []

    def take(self, size: int) -> np.ndarray:
        """Get ``size`` bytes; a tensor on the buffer, and every view of it, hold a reference to the buffer."""
        for buffer in self._buffers:
            if buffer.size == size and sys.getrefcount(buffer) == _REFERENCES_WHEN_FREE:
                return buffer
        buffer = np.empty(size, np.uint8)
        self._buffers = [*self._buffers[1 - _KEPT :], buffer]
        return buffer


# One with the consumer, one prepared ahead, one being made, one spare; the system gets the others back.
_KEPT = 4


def _references_when_free() -> int:
    """Reference count, in ``Buffers.take``, of a buffer that only its list holds; it depends on the Python version."""
    for buffer in [np.empty(0, np.uint8)]:
        return sys.getrefcount(buffer)
    raise AssertionError


_REFERENCES_WHEN_FREE = _references_when_free()


class CpuKernel:
    """The compiled library, called with several threads.

    Args:
        output: format of the batches.
        num_threads: threads that work on a batch.
    """

    simple = False
    """Use the library's code for any CPU even where there is AVX-512."""

    def __init__(self, output: BatchFormat, num_threads: int) -> None:
        self._format = output
        self._buffers = Buffers()
        self._num_threads = num_threads
        self._pool = ThreadPoolExecutor(num_threads - 1, "resample") if num_threads > 1 else None

    def __call__(self, samples: np.ndarray) -> Tensor:
        """Make a batch, N×3×size×size, from the table of its samples (see ``sample_table``)."""
        library = _library()
        assert library is not None  # is_compiled() says so
        n, form = len(samples), self._format
        images = form.view(torch.from_numpy(self._buffers.take(form.bytes(n))), n)
        output = _Output(
            images.data_ptr(),
            form.size,
            DTYPES[form.dtype],
            form.channels_last,
            (ctypes.c_float * 3)(*form.scale),
            (ctypes.c_float * 3)(*form.shift),
            self.simple,
        )
        taken = ctypes.c_int(0)

        def work() -> None:
            address = ctypes.c_void_p(samples.ctypes.data)
            library.dali_cutmix_finish(address, n, ctypes.byref(output), ctypes.byref(taken))

        helpers = [self._pool.submit(work) for _ in range(self._num_threads - 1)] if self._pool else []
        work()
        wait(helpers)
        return images

"""The fused pass on a GPU: one upload, one kernel launch, no waiting."""

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dali_cutmix.fused.batch_layout import DTYPES, BatchFormat
from dali_cutmix.gpu import KeepAlive, record, upload

ROWS = 12  # of pixels in a block, as in resample.cu
MOST_THREADS = 224  # in a block; five such blocks fit on a multiprocessor of an H100


@cache
def _kernel(threads: int) -> Any:
    """The kernel, compiled for blocks of so many threads: it then takes no more shared memory than they need."""
    import cupy

    return cupy.RawKernel(f"#define COLUMNS {threads}\n{kernel_source()}", "resample_and_mix")


def kernel_source() -> str:
    """Join the two halves of the kernel, as NVRTC compiles them; it looks for no files."""
    return "".join(
        files("dali_cutmix.fused").joinpath(name).read_text() for name in ("resample_taps.cuh", "resample.cu")
    )


def _empty(size: int, gpu: int) -> Tensor:
    return torch.empty(size, dtype=torch.uint8, device=torch.device("cuda", gpu))


def _launch(gpu: int, grid: tuple[int, int, int], threads: int, arguments: tuple[Any, ...]) -> None:
    """Start the kernel on PyTorch's current stream."""
    import cupy

    stream = torch.cuda.current_stream(gpu)
    with cupy.cuda.Device(gpu), cupy.cuda.Stream.from_external(stream):
        _kernel(threads)(grid, (threads,), arguments)


class GpuKernel:
    """The kernel ``resample.cu``, launched once for each batch.

    Args:
        output: format of the batches.
    """

    def __init__(self, output: BatchFormat) -> None:
        self._format = output
        self._keep_alive = KeepAlive()

    def __call__(self, samples: np.ndarray, gpu: int, crops: Any) -> Tensor:
        """Make a batch, N×3×size×size, from its table (see ``sample_table``); ``crops`` owns the samples' memory."""
        images = self.launch(upload(samples.view(np.uint8), gpu), len(samples), gpu)
        self._keep_alive.hold(crops, record(gpu))
        return images

    def launch(self, rows: Tensor, n: int, gpu: int) -> Tensor:
        """Make a batch of ``n`` samples from their table on the GPU; the caller must keep the crops alive."""
        form = self._format
        images = form.view(_empty(form.bytes(n), gpu), n)
        blocks = -(-form.size // MOST_THREADS)
        threads = 32 * -(-form.size // (32 * blocks))
        _launch(
            gpu,
            (blocks, -(-form.size // ROWS), n),
            threads,
            (
                rows.data_ptr(),
                images.data_ptr(),
                *map(np.int32, (form.size, DTYPES[form.dtype], form.channels_last)),
                *map(np.float32, (*form.scale, *form.shift)),
            ),
        )
        return images

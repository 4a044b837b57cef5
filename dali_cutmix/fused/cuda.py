"""The fused pass on a GPU: one upload, one launch, nothing that waits."""

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dali_cutmix.fused.batch_layout import DTYPES, Format
from dali_cutmix.gpu import KeepAlive, record, upload

ROWS = 12  # of a block, as in resample.cu
MOST_THREADS = 224  # of a block; five such blocks have room on a multiprocessor of an H100


@cache
def _kernel(threads: int) -> Any:
    """Compiled for blocks of that many threads, so that it takes no more shared memory than they need."""
    import cupy

    source = files("dali_cutmix.fused").joinpath("resample.cu").read_text()
    return cupy.RawKernel(f"#define COLUMNS {threads}\n{source}", "resample_and_mix")


def _empty(size: int, gpu: int) -> Tensor:
    return torch.empty(size, dtype=torch.uint8, device=torch.device("cuda", gpu))


def _launch(gpu: int, grid: tuple[int, int, int], threads: int, arguments: tuple[Any, ...]) -> None:
    """Start the kernel on PyTorch's current stream."""
    import cupy

    stream = torch.cuda.current_stream(gpu)
    with cupy.cuda.Device(gpu), cupy.cuda.Stream.from_external(stream):
        _kernel(threads)(grid, (threads,), arguments)


class OnGpu:
    """Starts ``resample.cu``, one launch for a batch."""

    def __init__(self, output: Format) -> None:
        self._format = output
        self._keep_alive = KeepAlive()

    def __call__(self, samples: np.ndarray, gpu: int, crops: Any) -> Tensor:
        """The batch, N×3×size×size, of the samples in a table (see ``batch.table``), whose memory ``crops`` owns."""
        images = self.launch(upload(samples.view(np.uint8), gpu), len(samples), gpu)
        self._keep_alive.hold(crops, record(gpu))
        return images

    def launch(self, rows: Tensor, n: int, gpu: int) -> Tensor:
        """The batch of ``n`` samples from their table on the GPU; whoever calls keeps their crops."""
        how = self._format
        images = how.view(_empty(how.bytes(n), gpu), n)
        blocks = -(-how.size // MOST_THREADS)
        threads = 32 * -(-how.size // (32 * blocks))
        _launch(
            gpu,
            (blocks, -(-how.size // ROWS), n),
            threads,
            (
                rows.data_ptr(),
                images.data_ptr(),
                *map(np.int32, (how.size, DTYPES[how.dtype], how.channels_last)),
                *map(np.float32, (*how.scale, *how.shift)),
            ),
        )
        return images

"""The fused pass on a GPU: one upload, one launch, nothing that waits."""

from collections import deque
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dali_cutmix.batch import DTYPES, Format

ROWS = 8  # of a block, as in resample.cu
MOST_THREADS = 256
MOST_AHEAD = 8  # batches


@cache
def _kernel() -> Any:
    import cupy

    return cupy.RawKernel(files("dali_cutmix").joinpath("resample.cu").read_text(), "resample_and_mix")


def upload(array: np.ndarray, gpu: int) -> Tensor:
    """A copy on the GPU; from pinned memory, which PyTorch keeps until the copy is done, so that nobody waits."""
    return torch.from_numpy(array).pin_memory().to(torch.device("cuda", gpu), non_blocking=True)


def _empty(size: int, gpu: int) -> Tensor:
    return torch.empty(size, dtype=torch.uint8, device=torch.device("cuda", gpu))


def _launch(gpu: int, grid: tuple[int, int, int], threads: int, arguments: tuple[Any, ...]) -> torch.cuda.Event:
    """Start the kernel on PyTorch's current stream; the event comes after it."""
    import cupy

    stream = torch.cuda.current_stream(gpu)
    with cupy.cuda.Device(gpu), cupy.cuda.ExternalStream(stream.cuda_stream, gpu):
        _kernel()(grid, (threads,), arguments)
    event = torch.cuda.Event()
    event.record(stream)
    return event


class OnGpu:
    """Starts ``resample.cu``, one launch for a batch."""

    def __init__(self, output: Format) -> None:
        self._format = output
        self._in_use: deque[tuple[torch.cuda.Event, Any]] = deque()

    def __call__(self, samples: np.ndarray, gpu: int, crops: Any) -> Tensor:
        """The batch, N×3×size×size, of the samples in a table (see ``batch.table``), whose memory ``crops`` owns."""
        n, how = len(samples), self._format
        images = how.view(_empty(how.bytes(n), gpu), n)
        rows = upload(samples.view(np.uint8), gpu)
        blocks = -(-how.size // MOST_THREADS)
        threads = 32 * -(-how.size // (32 * blocks))
        event = _launch(
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
        # DALI takes the crops' memory back when the last reference goes, and the kernel may still wait for its turn.
        self._in_use.append((event, crops))
        while self._in_use and self._in_use[0][0].query():
            self._in_use.popleft()
        if len(self._in_use) > MOST_AHEAD:  # the GPU is that far behind: waiting costs nothing, more crops would
            self._in_use.popleft()[0].synchronize()
        return images

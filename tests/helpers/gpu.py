"""What the GPU tests share: a stream that is kept busy, random batches for the paste operator, mixing policies."""

from contextlib import contextmanager

import numpy as np
import torch

import dali_cutmix as dc

POLICIES = [
    dc.CutMix(),
    dc.CutMix(probability=0.5, per_sample=True),
    dc.Mixup(0.2),
    dc.Cutout(),
    dc.OneOf((dc.CutMix(), dc.Mixup(), dc.Cutout(), None)),
    None,
]


FILL = (124, 116, 104)
MOST_CYCLES = 6_000_000_000
"""How long a stream is kept busy at most: about three seconds."""
WAIT = """
extern "C" __global__ void wait_for(const volatile int* flag, long long cycles) {
    const long long start = clock64();
    while (!*flag && clock64() - start < cycles) {}
}
"""


@contextmanager
def busy(stream=None):
    """Keep a stream busy until the end of the block, however long that takes: nothing depends on how fast the host is.

    Only a host that waits for the stream sees it idle, after three seconds.
    """
    import cupy

    stream = stream or torch.cuda.current_stream()
    flag = torch.ones(1, dtype=torch.int32).pin_memory()
    kernel = cupy.RawKernel(WAIT, "wait_for")

    def start():
        with cupy.cuda.Stream.from_external(stream):
            kernel((1,), (1,), (flag.data_ptr(), np.int64(MOST_CYCLES)))

    start()  # compiled and loaded, which may wait for the GPU; the flag is up, so that it ends at once
    torch.cuda.synchronize()
    flag[0] = 0
    try:
        start()
        yield
    finally:
        flag[0] = 1
        torch.cuda.synchronize()


def random_batch(n, height, width, channels, seed):
    """Noise images and a random plan for the paste operator."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, height, width, channels), np.uint8)
    x = np.sort(rng.integers(0, width + 1, (n, 2)), 1)
    y = np.sort(rng.integers(0, height + 1, (n, 2)), 1)
    partner = np.where(rng.random(n) < 0.2, -1, rng.permutation(n))
    weight = np.where(rng.random(n) < 0.5, 0, rng.integers(0, 65537, n))
    columns = [partner, x[:, 0], y[:, 0], x[:, 1], y[:, 1], rng.integers(0, 2, n), weight]
    return images, np.stack(columns, 1).astype(np.int32)

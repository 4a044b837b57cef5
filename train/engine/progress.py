"""What a waiting human sees: images per second, and the share of the time spent waiting for data."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from tqdm import tqdm


def progress_bar(total: int, initial: int, description: str, visible: bool) -> tqdm:
    """A bar on standard error; nothing at all where that is no terminal."""
    return tqdm(
        total=total,
        initial=initial,
        desc=description,
        unit="step",
        leave=False,
        dynamic_ncols=True,
        disable=not (visible and sys.stderr.isatty()),
    )


class Stopwatch:
    """Times a training loop from the outside of ``next``: no waiting for the device, no hooks in the loop.

    Args:
        images_per_batch: over all processes.
        warmup: the first batches of the run, which are not counted (compilation, memory pools, threads). Of a
            run with no more batches than that in its first epoch, that epoch counts whole.
    """

    def __init__(self, images_per_batch: int, warmup: int = 10) -> None:
        self._images_per_batch = images_per_batch
        self._warmup = warmup
        self._start()

    def _start(self) -> None:
        self._started = time.perf_counter()
        self._batches = 0
        self._waited = 0.0

    def batches(self, loader: Iterable[Any]) -> Iterator[Any]:
        """Pass on one epoch of batches, counting them and the time that the loader takes for each."""
        self._start()
        iterator = iter(loader)
        while True:
            asked = time.perf_counter()
            batch = next(iterator, None)
            self._waited += time.perf_counter() - asked
            if batch is None:
                return
            self._batches += 1  # before the loop has it: a loop that breaks off does not come back here
            yield batch
            if self._batches == self._warmup:
                self._warmup = 0
                self._start()

    def read(self) -> tuple[float, float]:
        """Images per second, and the share of time spent waiting for data, in this epoch so far."""
        elapsed = time.perf_counter() - self._started
        return self._batches * self._images_per_batch / elapsed, self._waited / elapsed

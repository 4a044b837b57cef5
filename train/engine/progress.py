"""Progress of a run on the terminal: images per second, and the fraction of the time spent waiting for data."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from tqdm import tqdm


def progress_bar(total: int, initial: int, description: str, visible: bool) -> tqdm:
    """A progress bar on standard error; it shows nothing if standard error is not a terminal."""
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
    """Timer of a training loop that measures around the loader's ``next``: it never waits for the device.

    Args:
        images_per_batch: images per batch over all processes.
        warmup: number of batches at the start of the run that are not counted (compilation, memory pools, threads). If
            the first epoch has no more batches than this, it is counted as a whole.
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
        """Yield the batches of one epoch, counting them and the time that the loader takes for each."""
        self._start()
        iterator = iter(loader)
        while True:
            asked = time.perf_counter()
            batch = next(iterator, None)
            self._waited += time.perf_counter() - asked
            if batch is None:
                return
            self._batches += 1  # before the yield, since a loop with a break does not come back here
            yield batch
            if self._batches == self._warmup:
                self._warmup = 0
                self._start()

    def read(self) -> tuple[float, float]:
        """Images per second, and the fraction of the time spent waiting for data, in this epoch so far."""
        elapsed = time.perf_counter() - self._started
        return self._batches * self._images_per_batch / elapsed, self._waited / elapsed

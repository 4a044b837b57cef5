"""The throughput of a decoding pipeline: images per second of several windows, and CPU time."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from nvidia.dali import Pipeline

WINDOWS = 5
"""Parts of a measurement; the result is the median of their rates."""
LEAST = 3
"""Batches in a window, at least."""
LAG = 2
"""Batches by which the consumer's stream may be behind the host."""
AHEAD = 3
"""Batches that a pipeline prepares ahead."""


def time_decoding(pipeline: Pipeline, device: str, batch_size: int, seconds: float) -> tuple[list[float], float]:
    """Measure images per second in each window, and CPU time per image in ms."""
    take = consumer(pipeline, device)
    for _ in range(AHEAD + (5 if device != "cpu" else 0)):  # a GPU's clocks and allocators need more of them
        take()
    rates, images, used = [], 0, time.process_time()
    for _ in range(WINDOWS):
        batches, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds / WINDOWS or batches < LEAST:
            take()
            batches += 1
        rates.append(batches * batch_size / elapsed)
        images += batches * batch_size
    return rates, 1000 * (time.process_time() - used) / images


def consumer(pipeline: Pipeline, device: str) -> Callable[[], None]:
    """Make a function that takes a batch as a training loop does: on its own stream, never far ahead of the GPU."""
    if device == "cpu":

        def run() -> None:
            pipeline.run()

        return run
    stream = torch.cuda.current_stream(device)
    held: deque[tuple[torch.cuda.Event, Any]] = deque()

    def take() -> None:
        outputs = pipeline.run(stream)
        event = torch.cuda.Event(blocking=True)  # waiting uses no CPU time, which is measured, too
        event.record(stream)
        held.append((event, outputs))
        if len(held) > LAG:
            held.popleft()[0].synchronize()

    return take

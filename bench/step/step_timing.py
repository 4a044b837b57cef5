"""Timing of training steps: images per second, and how long steps wait for data, on the host and on the device."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from bench.common.timing import machine_seconds, synchronize
from bench.step.training import LabeledBatch


@dataclass(frozen=True)
class StepTiming:
    """One measurement of training steps.

    ::

        host      next() │ launch │ next() │ launch │ ...     host_wait: share of the time in next()
        stream    ░░ step 0 ░░ step 1 ░░ step 2 ░░ ...        device_gap: share of the time (░) between steps

    On a GPU ``host_wait`` is an upper bound of the device's waiting time, since the device still has steps to work on.
    ``device_gap`` is measured on the training stream, by events; None on a CPU. ``cores_elsewhere`` is the number of
    cores that other processes used meanwhile.
    """

    images_per_second: float
    steps: int
    seconds: float
    host_wait: float
    device_gap: float | None
    loss: float
    cores_elsewhere: float


class _StepEvents:
    """Events on the training stream around each step. Recording does not wait for the device; ``gap`` does."""

    def __init__(self, device: str, steps: int) -> None:
        self._events: list[tuple[Any, Any]] = []
        if device != "cpu":
            self._events = [
                (torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(steps)
            ]

    def start(self, step: int) -> None:
        if self._events:
            self._events[step][0].record()

    def end(self, step: int) -> None:
        if self._events:
            self._events[step][1].record()

    def gap(self) -> float | None:
        """Share of the time between steps, from the start of the first step to the end of the last one."""
        if not self._events:
            return None
        between = sum(ended.elapsed_time(started) for (_, ended), (started, _) in pairwise(self._events))
        whole: float = self._events[0][0].elapsed_time(self._events[-1][1])
        return between / whole


def measure_steps(
    step: Callable[[Tensor, Tensor], Tensor], batches: Iterator[LabeledBatch], steps: int, device: str
) -> StepTiming:
    """Time ``steps`` steps; the host waits for the device only before the first and after the last one."""
    events, waited = _StepEvents(device, steps), 0.0
    synchronize(device)
    used, machine, start = time.process_time(), machine_seconds(), time.perf_counter()
    for number in range(steps):
        asked = time.perf_counter()
        images, targets = next(batches)
        waited += time.perf_counter() - asked
        events.start(number)
        loss = step(images, targets)
        events.end(number)
    synchronize(device)
    seconds = time.perf_counter() - start
    used, machine = time.process_time() - used, machine_seconds() - machine
    return StepTiming(
        images_per_second=steps * len(images) / seconds,
        steps=steps,
        seconds=seconds,
        host_wait=waited / seconds,
        device_gap=events.gap(),
        loss=float(loss),
        cores_elsewhere=max(0.0, machine - used) / seconds,
    )


def wait_until_idle(limit: float = 10.0, share: float = 0.03) -> None:
    """Wait until this process uses less than ``share`` of a core: an idle loader fills its queues first."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        used, start = time.process_time(), time.monotonic()
        time.sleep(0.1)
        if time.process_time() - used <= share * (time.monotonic() - start):
            return

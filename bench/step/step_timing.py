"""Timing of training steps: images per second, and how long a step waits for data, on the host and on the device."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from bench.common import machine_seconds, synchronize
from bench.step.training import Batch


@dataclass(frozen=True)
class Steps:
    """One measurement of training steps.

    ``host_wait`` is the share of the time that the host spent in ``next``: on a GPU an upper bound of what the device
    waits, since it still has steps to work on meanwhile. ``device_gap`` is the share of the time on the device's clock
    that the training stream spent between the end of one step and the start of the next one; None on a CPU.
    """

    images_per_second: float
    steps: int
    seconds: float
    host_wait: float
    device_gap: float | None
    loss: float
    cores_elsewhere: float


class _Marks:
    """Events on the training stream around each step. Recording one waits for nothing; reading them does."""

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
        """Share of the device's time between steps, from the first step's start to the last one's end."""
        if not self._events:
            return None
        between = sum(ended.elapsed_time(started) for (_, ended), (started, _) in pairwise(self._events))
        whole: float = self._events[0][0].elapsed_time(self._events[-1][1])
        return between / whole


def measure_steps(step: Callable[[Tensor, Tensor], Tensor], batches: Iterator[Batch], steps: int, device: str) -> Steps:
    """Time ``steps`` steps; the host waits for the device before the first and after the last one, nowhere between."""
    marks, waited = _Marks(device, steps), 0.0
    synchronize(device)
    used, machine, start = time.process_time(), machine_seconds(), time.perf_counter()
    for number in range(steps):
        asked = time.perf_counter()
        images, targets = next(batches)
        waited += time.perf_counter() - asked
        marks.start(number)
        loss = step(images, targets)
        marks.end(number)
    synchronize(device)
    seconds = time.perf_counter() - start
    used, machine = time.process_time() - used, machine_seconds() - machine
    return Steps(
        images_per_second=steps * len(images) / seconds,
        steps=steps,
        seconds=seconds,
        host_wait=waited / seconds,
        device_gap=marks.gap(),
        loss=float(loss),
        cores_elsewhere=max(0.0, machine - used) / seconds,
    )


def settle(limit: float = 10.0, share: float = 0.03) -> None:
    """Wait until this process uses less than ``share`` of a core: a loader that stands idle fills its queues first."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        used, start = time.process_time(), time.monotonic()
        time.sleep(0.1)
        if time.process_time() - used <= share * (time.monotonic() - start):
            return

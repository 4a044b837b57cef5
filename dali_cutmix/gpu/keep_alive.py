"""Keep memory alive until a GPU has read it, without waiting for the GPU."""

from collections import deque
from typing import Any

import torch

MOST_AHEAD = 8  # batches


def record(gpu: int) -> torch.cuda.Event:
    """Record an event on PyTorch's current stream of a GPU."""
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(gpu))
    return event


class KeepAlive:
    """References to DALI's memory, each held until the event after its last use.

    DALI takes the memory of a batch back with the last reference to it, and reuses it at once, on a stream of its own.
    The consumer's stream may not have read it by then.
    """

    def __init__(self) -> None:
        self._held: deque[tuple[torch.cuda.Event, Any]] = deque()

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, memory: Any, until: torch.cuda.Event) -> None:
        """Hold a reference until an event has happened; events happen in the order of the calls.

        If more than ``MOST_AHEAD`` are held, the host waits for the first: the GPU is then so far behind that waiting
        costs nothing, and more batches would cost memory.
        """
        self._held.append((until, memory))
        while self._held and self._held[0][0].query():
            self._held.popleft()
        if len(self._held) > MOST_AHEAD:
            self._held[0][0].synchronize()
            self._held.popleft()  # not before: this may be the last reference

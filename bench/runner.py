"""One process for each contender: started once, warmed up, then measured whenever it is its turn.

A process of its own keeps imports, thread pools and forked workers of one contender out of the others' way.
"""

import gc
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch

from bench.contenders import Batch, Contender, Settings
from bench.cpu import group_seconds, machine_seconds

GRACE = 10.0
"""Seconds that a process has to end of itself."""
LOOKED_AT = 4
"""Batches of the warm-up that are checked; more than one, because a batch's box may be empty."""


class ContenderError(RuntimeError):
    """A contender raised, or its process ended."""


@dataclass(frozen=True)
class Rate:
    """One measurement.

    ``core_ms_per_image`` is the CPU time of the contender and its workers, which other work on the machine changes
    little; ``cores_elsewhere`` is how many cores everybody else used meanwhile.
    """

    images_per_second: float
    batches: int
    seconds: float
    core_ms_per_image: float
    cores_elsewhere: float


class Runner:
    """A started contender."""

    def __init__(self, contender: Contender, settings: Settings, patience: float = 900.0) -> None:
        """Start and warm up; ``patience`` is the longest wait for an answer in seconds.

        Raises:
            ContenderError: with its traceback.
        """
        self.contender, self.settings, self.patience = contender, settings, patience
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        # Not a daemon: those may not start workers.
        self._process = context.Process(target=_serve, args=(theirs, contender, settings))
        self._process.start()
        theirs.close()
        try:
            self.delivers: dict[str, Any] = self._answer()
        except BaseException:
            self.close()
            raise

    @property
    def group(self) -> int:
        """Its process group, which its workers share."""
        assert self._process.pid is not None
        return self._process.pid

    def measure(self, seconds: float) -> Rate:
        """Use up what was prepared ahead, then count batches for at least this long.

        Raises:
            ContenderError: with its traceback.
        """
        self._connection.send(seconds)
        rate: Rate = self._answer()
        return rate

    def _answer(self) -> Any:
        try:
            if not self._connection.poll(self.patience):
                raise ContenderError(f"no answer within {self.patience:g} s")
            answer = self._connection.recv()
        except EOFError:
            self._process.join(5)
            raise ContenderError(f"its process ended with exit status {self._process.exitcode}") from None
        if isinstance(answer, str):
            raise ContenderError(answer)
        return answer

    def close(self) -> None:
        """End the process and its workers, by force where they do not end of themselves."""
        self._connection.close()
        self._process.join(GRACE)
        self._process.kill()
        with suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)
        self._process.join()


def _serve(connection: Connection, contender: Contender, settings: Settings) -> None:
    os.setpgid(0, 0)
    torch.set_num_threads(settings.threads)
    batches = None
    try:
        batches = contender.batches(settings)
        connection.send(_warm_up(batches, contender, settings))
        while True:
            connection.send(_measure(batches, contender, settings, seconds=connection.recv()))
    except EOFError:  # whoever asked is gone
        pass
    except Exception:
        connection.send(traceback.format_exc())
    finally:
        del batches
        gc.collect()  # queues to workers give their semaphores back
        # Threads of other libraries may still run, and the end of the interpreter under them is noisy or never comes.
        os._exit(0)


def _warm_up(batches: Iterator[Batch], contender: Contender, settings: Settings) -> dict[str, Any]:
    delivers = describe([next(batches) for _ in range(LOOKED_AT)], settings.batch_size)
    if contender.mixes and settings.num_classes > 1 and not delivers.get("mixed"):
        raise RuntimeError(f"{LOOKED_AT} batches without one mixed target: not what was to be measured")
    for _ in range(contender.ahead(settings)):
        next(batches)
    return delivers


def describe(batches: list[Batch], batch_size: int) -> dict[str, Any]:
    """What a contender delivers: shape, dtype, device, layout, whether any target is a mixture.

    Raises:
        RuntimeError: images or targets that do not fit what all contenders are to deliver.
    """
    delivered = [batch for batch in batches if batch is not None]
    if not delivered:
        return {}
    images, targets = delivered[0]
    if images.dtype != torch.float32 or images.ndim != 4 or images.shape[:2] != (batch_size, 3):
        raise RuntimeError(f"images {tuple(images.shape)} {images.dtype}; wanted {batch_size}×3×H×W float32")
    dense = [targets for _, targets in delivered if targets.ndim == 2]
    if any(not torch.allclose(rows.sum(1), torch.ones(len(rows), device=rows.device), atol=1e-4) for rows in dense):
        raise RuntimeError("targets whose rows do not sum to 1")
    return {
        "images": list(images.shape),
        "dtype": str(images.dtype).removeprefix("torch."),
        "device": str(images.device),
        "layout": "NCHW" if images.is_contiguous() else "NHWC",
        "targets": list(targets.shape),
        "mixed": any(bool(((rows > 0).sum(1) > 1).any()) for rows in dense),
    }


def _measure(batches: Iterator[Batch], contender: Contender, settings: Settings, seconds: float) -> Rate:
    for _ in range(contender.ahead(settings)):
        next(batches)
    burst, count = contender.burst(settings), 0
    synchronize(settings.device)
    used, machine, start = group_seconds(os.getpgrp()), machine_seconds(), time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(burst):
            next(batches)
        count += burst
    synchronize(settings.device)
    elapsed = time.perf_counter() - start
    used, machine = group_seconds(os.getpgrp()) - used, machine_seconds() - machine
    images = count * settings.batch_size
    return Rate(images / elapsed, count, elapsed, 1000 * used / images, max(0.0, machine - used) / elapsed)


def synchronize(device: str) -> None:
    """Wait until the device has done all its work; a CPU has."""
    if device != "cpu":
        torch.cuda.synchronize(device)

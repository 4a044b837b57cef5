"""The process of a contender, from inside: it warms the loader up, then measures whenever it is asked."""

import ctypes
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch

from bench.common.timing import group_seconds, machine_seconds, synchronize
from bench.loaders.contenders import Batch, Contender, Settings
from bench.loaders.process.output import redirect

CHECKED = 4
"""Batches of the warm-up that are checked; more than one, because the box of a batch may be empty."""
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


@dataclass(frozen=True)
class Failure:
    """The answer of a contender that raised: the exception in one line, and its traceback."""

    reason: str
    details: str


@dataclass(frozen=True)
class Throughput:
    """One measurement of a loader.

    ``core_ms_per_image`` is the CPU time of the loader and its workers, which other work on the machine changes little;
    ``cores_elsewhere`` is the number of cores that other processes used meanwhile.
    """

    images_per_second: float
    batches: int
    seconds: float
    core_ms_per_image: float
    cores_elsewhere: float


def serve(connection: Connection, output: Connection, pulse: Any, contender: Contender, settings: Settings) -> None:
    """Send a description of the batches, then for each length of a measurement that arrives its ``Throughput``.

    If the loader raises, a ``Failure`` is sent instead.

    Args:
        connection: to the benchmark; the process ends when the other end is closed.
        output: receives what the process prints.
        pulse: the time of the last sign of life and the number of batches so far; written here.
        contender, settings: the loader to measure.
    """
    os.setpgid(0, 0)
    # If the benchmark is killed, a broken contender would otherwise run for ever.
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    redirect(output)
    torch.set_num_threads(settings.threads)
    batches = None
    try:
        contender.load()  # imports have a time limit of their own
        pulse[0] = time.monotonic()
        batches = _watched(contender.batches(settings), pulse)
        answer: dict[str, Any] | Throughput = _warm_up(batches, contender, settings)
        while True:
            connection.send(answer)
            try:
                seconds = connection.recv()
            except EOFError:  # the benchmark has ended
                break
            answer = measure(batches, contender, settings, seconds)
    except StopIteration:
        connection.send(Failure("it came to an end: batches are to come without one", ""))
    except BaseException as error:  # SystemExit, too: it is reported whatever it does
        reason = " ".join("".join(traceback.format_exception_only(error)).split())
        with suppress(OSError):  # the benchmark has ended
            connection.send(Failure(reason, traceback.format_exc()[-8000:]))
    finally:
        del batches
        gc.collect()  # queues to workers release their semaphores
        sys.stdout.flush()
        sys.stderr.flush()
        # Threads of other libraries may still run: a normal exit of the interpreter might print errors or hang.
        os._exit(0)


def _watched(batches: Iterator[Batch], pulse: Any) -> Iterator[Batch]:
    """Yield the same batches and record the start and each batch in ``pulse``."""
    pulse[0] = time.monotonic()
    for batch in batches:
        pulse[0] = time.monotonic()
        pulse[1] += 1
        yield batch


def _warm_up(batches: Iterator[Batch], contender: Contender, settings: Settings) -> dict[str, Any]:
    delivers = describe([next(batches) for _ in range(CHECKED)], settings.batch_size, contender.dtype)
    if contender.mixes and settings.num_classes > 1 and not delivers.get("mixed"):
        raise RuntimeError(f"{CHECKED} batches without a mixed target: this is not the loader to be measured")
    for _ in range(contender.prepared(settings)):
        next(batches)
    return delivers


def describe(batches: list[Batch], batch_size: int, dtype: str = "float32") -> dict[str, Any]:
    """Describe batches: shape, dtype, device, layout, and whether any target is a mixture.

    Raises:
        RuntimeError: the images or targets are not what every contender has to deliver.
    """
    delivered = [batch for batch in batches if batch is not None]
    if not delivered:
        return {}
    images, targets = delivered[0]
    if images.dtype != getattr(torch, dtype) or images.ndim != 4 or images.shape[:2] != (batch_size, 3):
        raise RuntimeError(f"images {tuple(images.shape)} {images.dtype}; wanted {batch_size}×3×H×W {dtype}")
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


def measure(batches: Iterator[Batch], contender: Contender, settings: Settings, seconds: float) -> Throughput:
    """Use up the batches that were prepared ahead, then count batches for at least ``seconds``."""
    for _ in range(contender.prepared(settings)):
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
    return Throughput(images / elapsed, count, elapsed, 1000 * used / images, max(0.0, machine - used) / elapsed)

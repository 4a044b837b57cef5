"""The process of a contender: warms it up, then measures whenever it is asked."""

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

from bench.common import Batch, Contender, Settings, group_seconds, machine_seconds, synchronize
from bench.loaders.output import redirect

LOOKED_AT = 4
"""Batches of the warm-up that are checked; more than one, because a batch's box may be empty."""
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


@dataclass(frozen=True)
class Raised:
    """The answer of a contender that raised."""

    reason: str
    details: str


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


def serve(connection: Connection, output: Connection, pulse: Any, contender: Contender, settings: Settings) -> None:
    """Answer with what it delivers, then each length of a measurement with its rate, or with what it raised.

    Args:
        connection: to whoever asks; the process ends when that end is closed.
        output: where the process prints from now on.
        pulse: when it was last seen at work, and how many batches it has given; written here.
        contender, settings: what is measured.
    """
    os.setpgid(0, 0)
    # Whoever ends the benchmark by force would otherwise leave a broken contender at work for ever.
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    redirect(output)
    torch.set_num_threads(settings.threads)
    batches = None
    try:
        contender.load()  # importing has a limit of its own
        pulse[0] = time.monotonic()
        batches = _watched(contender.batches(settings), pulse)
        answer: dict[str, Any] | Rate = _warm_up(batches, contender, settings)
        while True:
            connection.send(answer)
            try:
                seconds = connection.recv()
            except EOFError:  # whoever asked is gone
                break
            answer = measure(batches, contender, settings, seconds)
    except StopIteration:
        connection.send(Raised("it came to an end: batches are to come without one", ""))
    except BaseException as error:  # SystemExit too: whatever it does is told
        reason = " ".join("".join(traceback.format_exception_only(error)).split())
        with suppress(OSError):  # nobody is there to be told
            connection.send(Raised(reason, traceback.format_exc()[-8000:]))
    finally:
        del batches
        gc.collect()  # queues to workers give their semaphores back
        sys.stdout.flush()
        sys.stderr.flush()
        # Threads of other libraries may still run, and the end of the interpreter under them is noisy or never comes.
        os._exit(0)


def _watched(batches: Iterator[Batch], pulse: Any) -> Iterator[Batch]:
    """The same batches; the pulse tells that it has been started, and each batch."""
    pulse[0] = time.monotonic()
    for batch in batches:
        pulse[0] = time.monotonic()
        pulse[1] += 1
        yield batch


def _warm_up(batches: Iterator[Batch], contender: Contender, settings: Settings) -> dict[str, Any]:
    delivers = describe([next(batches) for _ in range(LOOKED_AT)], settings.batch_size, contender.dtype)
    if contender.mixes and settings.num_classes > 1 and not delivers.get("mixed"):
        raise RuntimeError(f"{LOOKED_AT} batches without one mixed target: not what was to be measured")
    for _ in range(contender.ahead(settings)):
        next(batches)
    return delivers


def describe(batches: list[Batch], batch_size: int, dtype: str = "float32") -> dict[str, Any]:
    """What a contender delivers: shape, dtype, device, layout, whether any target is a mixture.

    Raises:
        RuntimeError: images or targets that do not fit what all contenders are to deliver.
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


def measure(batches: Iterator[Batch], contender: Contender, settings: Settings, seconds: float) -> Rate:
    """Use up what was prepared ahead, then count batches for at least this long."""
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

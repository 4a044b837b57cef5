"""One process for each contender: started once, warmed up, then measured whenever it is its turn.

A process of its own keeps imports, thread pools and forked workers of one contender out of the others' way.
"""

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from textwrap import shorten
from typing import Any

import torch

from bench.contenders import Batch, Contender, Settings
from bench.cpu import group_seconds, machine_seconds
from bench.output import Output, redirect

SILENCE = 60.0
"""Seconds to the next batch, from which on a contender counts as broken. It yields many in a second where it works."""
SLOWEST = 0.1
"""Seconds for an image that nobody needs who works: large batches have more time than ``SILENCE``."""
PREPARATION = 3600.0
"""The same for the first batch of who copies the data before, and for the imports of the process."""
GRACE = 10.0
"""Seconds that a process has to end of itself."""
LOOK = 0.5
"""Seconds between two looks at a process that does not answer."""
LOOKED_AT = 4
"""Batches of the warm-up that are checked; more than one, because a batch's box may be empty."""
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class ContenderError(RuntimeError):
    """A contender raised, gave no batch for too long, or its process ended.

    ``reason`` says so in one line, ``details`` is its traceback or the end of what it printed.
    """

    def __init__(self, reason: str, details: str = "") -> None:
        super().__init__(reason)
        self.reason, self.details = shorten(reason, 200, placeholder=" …"), details


@dataclass(frozen=True)
class _Raised:
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


class Runner:
    """A started contender."""

    def __init__(self, contender: Contender, settings: Settings) -> None:
        """Start and warm up.

        Raises:
            ContenderError: it raised, fell silent, or its process ended; the process and its workers are gone.
        """
        self.contender, self.settings = contender, settings
        self._closed = False
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._output = Output(context, contender.label)
        # When it last was seen at work (0: its process is still importing), and how many batches it has given.
        self._pulse = context.RawArray("d", 2)
        # Not a daemon: those may not start workers.
        self._process = context.Process(
            target=_serve, args=(theirs, self._output.writer, self._pulse, contender, settings)
        )
        self._process.start()
        theirs.close()
        self._output.begin()
        try:
            self.delivers: dict[str, Any] = self._answer()
        except BaseException:
            self.close(grace=0)
            raise

    @property
    def group(self) -> int:
        """Its process group, which its workers share."""
        assert self._process.pid is not None
        return self._process.pid

    def measure(self, seconds: float) -> Rate:
        """Use up what was prepared ahead, then count batches for at least this long.

        Raises:
            ContenderError: it raised, fell silent, or its process ended; the process and its workers are gone.
        """
        rate: Rate = self._answer(seconds)
        return rate

    def _answer(self, *question: float) -> Any:
        try:
            for part in question:
                self._connection.send(part)
            self._wait()
            answer = self._connection.recv()
        except TimeoutError as error:
            self.close(grace=0)
            raise self._failure(str(error)) from None
        except (EOFError, OSError):
            self._process.join(GRACE)
            ending = _ending(self._process.exitcode)
            self.close(grace=0)
            raise self._failure(ending) from None
        if isinstance(answer, _Raised):
            self.close()
            raise ContenderError(answer.reason, answer.details)
        return answer

    def _wait(self) -> None:
        """Until there is an answer.

        Raises:
            TimeoutError: no batch for too long.
            EOFError: the process has ended without an answer.
        """
        asked = time.monotonic()
        while not self._connection.poll(LOOK):
            if not self._process.is_alive() and not self._connection.poll():
                raise EOFError
            seen, batches = self._pulse
            prepares = not seen or (self.contender.copies_data and not batches)
            limit = PREPARATION if prepares else max(SILENCE, SLOWEST * self.settings.batch_size)
            silent = time.monotonic() - max(asked, seen)
            if silent > limit:
                raise TimeoutError(f"no batch for {silent:.0f} s")

    def _failure(self, reason: str) -> ContenderError:
        words = self._output.last_words()
        last = "\n".join(self._output.tail().splitlines()[-8:])
        return ContenderError(f"{reason}; it printed: {words}" if words else reason, last)

    def close(self, grace: float = GRACE) -> None:
        """End the process and its workers, by force where they do not end of themselves within the grace."""
        if self._closed:
            return
        self._closed = True
        self._connection.close()
        self._process.join(grace)
        # Not terminate(): a signal that can be caught or ignored ends nothing that is broken.
        self._process.kill()
        with suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)
        self._process.join()
        self._output.finish()


def _ending(status: int | None) -> str:
    """How a process ended."""
    if status is None:
        return "its process does not answer any more"
    if status >= 0:
        return f"its process ended with exit status {status}"
    names = {number.value: number.name for number in signal.Signals}
    return f"its process was ended by {names.get(-status, f'signal {-status}')} ({signal.strsignal(-status)})"


def _serve(connection: Connection, output: Connection, pulse: Any, contender: Contender, settings: Settings) -> None:
    os.setpgid(0, 0)
    # Whoever ends the benchmark by force would otherwise leave a broken contender at work for ever.
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    redirect(output)
    torch.set_num_threads(settings.threads)
    batches = None
    try:
        pulse[0] = time.monotonic()
        batches = _watched(contender.batches(settings), pulse)
        answer: dict[str, Any] | Rate = _warm_up(batches, contender, settings)
        while True:
            connection.send(answer)
            try:
                seconds = connection.recv()
            except EOFError:  # whoever asked is gone
                break
            answer = _measure(batches, contender, settings, seconds)
    except StopIteration:
        connection.send(_Raised("it came to an end: batches are to come without one", ""))
    except BaseException as error:  # SystemExit too: whatever it does is told
        reason = " ".join("".join(traceback.format_exception_only(error)).split())
        with suppress(OSError):  # nobody is there to be told
            connection.send(_Raised(reason, traceback.format_exc()[-8000:]))
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

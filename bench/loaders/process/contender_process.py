"""The process of a contender, seen from the benchmark: started and warmed up once, then measured in its turns."""

import multiprocessing
import multiprocessing.process
import os
import signal
import time
from contextlib import suppress
from textwrap import shorten
from typing import Any

from bench.common.processes import describe_status
from bench.loaders.contenders import Contender, Settings
from bench.loaders.process.child import Failure, Throughput, serve
from bench.loaders.process.output import Output

SILENCE = 60.0
"""Seconds without a batch after which a contender has failed. One that works yields several in a second."""
USUAL_BATCH_SIZE = 600
"""Largest batch size with that limit; a larger batch has more time, in proportion."""
IMPORTS = 120.0
"""Seconds that a process has to import its loader."""
PREPARATION = 3600.0
"""Seconds that a contender has for its first batch if it copies the data set."""
GRACE = 10.0
"""Seconds that a process has to end by itself."""
KILLED = 2.0
"""Seconds that a killed process has to end; one that waits in a driver may never end, and is left behind."""
CHECK_INTERVAL = 0.5
"""Seconds between two checks of a process that has not answered yet."""


class ContenderError(RuntimeError):
    """A contender raised, yielded no batch for too long, or its process ended.

    ``reason`` says why in one line; ``details`` is its traceback, or the end of its output.
    """

    def __init__(self, reason: str, details: str = "") -> None:
        super().__init__(reason)
        self.reason, self.details = shorten(reason, 200, placeholder=" …"), details


class ContenderProcess:
    """A contender in a process of its own."""

    def __init__(self, contender: Contender, settings: Settings, silence: float = SILENCE) -> None:
        """Start the process and wait until it is warmed up.

        Args:
            contender: the loader to measure.
            settings: settings that are the same for all contenders.
            silence: seconds without a batch after which it has failed.

        Raises:
            ContenderError: it raised, yielded no batch, or its process ended; the process and its workers are gone.
        """
        self.contender, self.settings, self._silence = contender, settings, silence
        self._closed = False
        context = multiprocessing.get_context("spawn")
        self._connection, child_end = context.Pipe()
        self._output = Output(context, contender.label)
        # The time of its last sign of life (0: its process is still importing), and how many batches it has yielded.
        self._pulse = context.RawArray("d", 2)
        # Not a daemon, which may not start workers.
        self._process = context.Process(
            target=serve, args=(child_end, self._output.writer, self._pulse, contender, settings)
        )
        self._process.start()
        child_end.close()
        self._output.begin()
        try:
            self.delivers: dict[str, Any] = self._answer()
        except BaseException:
            self.close(grace=0)
            raise

    @property
    def group(self) -> int:
        """Its process group, to which its workers belong, too."""
        assert self._process.pid is not None
        return self._process.pid

    def measure(self, seconds: float) -> Throughput:
        """Use up the batches that were prepared ahead, then count batches for at least ``seconds``.

        Raises:
            ContenderError: it raised, yielded no batch, or its process ended; the process and its workers are gone.
        """
        throughput: Throughput = self._answer(seconds)
        return throughput

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
            status = self._process.exitcode
            self.close(grace=0)
            ending = "does not answer any more" if status is None else f"ended: {describe_status(status)}"
            raise self._failure(f"its process {ending}") from None
        if isinstance(answer, Failure):
            self.close()
            raise ContenderError(answer.reason, answer.details)
        return answer

    def _wait(self) -> None:
        """Wait for an answer.

        Raises:
            TimeoutError: there was no batch for too long.
            EOFError: the process has ended without an answer.
        """
        asked = time.monotonic()
        while not self._connection.poll(CHECK_INTERVAL):
            if not self._process.is_alive() and not self._connection.poll():
                raise EOFError
            seen, batches = self._pulse
            limit = time_limit(self.contender, self.settings.batch_size, self._silence, bool(seen), bool(batches))
            if time.monotonic() - max(asked, seen) > limit:
                raise TimeoutError(f"no batch for {limit:.3g} s" if seen else f"no imports within {limit:.3g} s")

    def _failure(self, reason: str) -> ContenderError:
        words = self._output.last_words()
        last = "\n".join(self._output.tail().splitlines()[-8:])
        return ContenderError(f"{reason}; it printed: {words}" if words else reason, last)

    def close(self, grace: float = GRACE) -> None:
        """End the process and its workers; kill them if they do not end by themselves within ``grace`` seconds."""
        if self._closed:
            return
        self._closed = True
        self._connection.close()
        self._process.join(grace)
        # Not terminate(): a broken process may catch or ignore that signal.
        self._process.kill()
        with suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)
        self._process.join(KILLED)
        if self._process.is_alive():
            # Otherwise the interpreter would wait for it when it exits.
            vars(multiprocessing.process)["_children"].discard(self._process)
        self._output.finish()


def time_limit(contender: Contender, batch_size: int, silence: float, imported: bool, began: bool) -> float:
    """Seconds that a contender has for its next batch, or for its imports."""
    if contender.copies_data and not began:
        return PREPARATION
    return silence * max(1.0, batch_size / USUAL_BATCH_SIZE) if imported else IMPORTS

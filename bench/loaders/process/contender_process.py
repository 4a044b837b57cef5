"""One process for each contender: started once, warmed up, then measured whenever it is its turn.

A process of its own keeps imports, thread pools and forked workers of one contender out of the others' way.
"""

import multiprocessing
import multiprocessing.process
import os
import signal
import time
from contextlib import suppress
from textwrap import shorten
from typing import Any

from bench.common import Contender, Settings, ended
from bench.loaders.output import Output
from bench.loaders.serving import Raised, Rate, serve

SILENCE = 60.0
"""Seconds without a batch after which a contender counts as broken. One that works gives many in a second."""
USUAL = 600
"""Largest batch for which that holds; a larger one has more time, in proportion."""
IMPORTS = 120.0
"""Seconds that a process may take to import what it needs."""
PREPARATION = 3600.0
"""Seconds until the first batch of a contender that copies the data first."""
GRACE = 10.0
"""Seconds that a process has to end of itself."""
KILLED = 2.0
"""Seconds in which a killed process ends; one that waits in a driver may not, and is left."""
LOOK = 0.5
"""Seconds between two looks at a process that does not answer."""


class ContenderError(RuntimeError):
    """A contender raised, gave no batch for too long, or its process ended.

    ``reason`` says so in one line, ``details`` is its traceback or the end of what it printed.
    """

    def __init__(self, reason: str, details: str = "") -> None:
        super().__init__(reason)
        self.reason, self.details = shorten(reason, 200, placeholder=" …"), details


class Runner:
    """A started contender."""

    def __init__(self, contender: Contender, settings: Settings, silence: float = SILENCE) -> None:
        """Start and warm up.

        Args:
            contender: what is measured.
            settings: what is equal for all.
            silence: seconds without a batch after which it counts as broken.

        Raises:
            ContenderError: it raised, fell silent, or its process ended; the process and its workers are gone.
        """
        self.contender, self.settings, self._silence = contender, settings, silence
        self._closed = False
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._output = Output(context, contender.label)
        # When it last was seen at work (0: its process is still importing), and how many batches it has given.
        self._pulse = context.RawArray("d", 2)
        # Not a daemon: those may not start workers.
        self._process = context.Process(
            target=serve, args=(theirs, self._output.writer, self._pulse, contender, settings)
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
            status = self._process.exitcode
            self.close(grace=0)
            ending = "does not answer any more" if status is None else f"ended: {ended(status)}"
            raise self._failure(f"its process {ending}") from None
        if isinstance(answer, Raised):
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
            limit = allowed(self.contender, self.settings.batch_size, self._silence, bool(seen), bool(batches))
            if time.monotonic() - max(asked, seen) > limit:
                raise TimeoutError(f"no batch for {limit:.3g} s" if seen else f"no imports within {limit:.3g} s")

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
        self._process.join(KILLED)
        if self._process.is_alive():
            # Else the interpreter would wait for it at its end.
            vars(multiprocessing.process)["_children"].discard(self._process)
        self._output.finish()


def allowed(contender: Contender, batch_size: int, silence: float, imported: bool, began: bool) -> float:
    """Seconds that a contender may take to its next batch, or to the end of its imports."""
    if contender.copies_data and not began:
        return PREPARATION
    return silence * max(1.0, batch_size / USUAL) if imported else IMPORTS

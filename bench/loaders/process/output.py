"""The output of a process: its first lines are shown, its end is kept, and no flood reaches the terminal."""

import io
import os
import re
import sys
import threading
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext

MOST_SHOWN = 20
"""Number of lines that are shown."""
LONGEST = 400
"""Number of bytes of a line that are shown."""
KEPT = 2**14
"""Number of bytes that are kept of the end."""

_END = re.compile(rb"[\r\n]+")
_ERROR = re.compile(r"[A-Za-z_][\w.]*(Error|Exception)\b")


class Output:
    """Reads what a process and its workers print, in a thread, until all of them have ended.

    Pass ``writer`` to the process, and call ``begin`` once it has started.
    """

    def __init__(self, context: SpawnContext, label: str) -> None:
        self._reader, self.writer = context.Pipe(duplex=False)
        self._label = label
        self._kept = b""
        self._shown = 0
        self._thread = threading.Thread(target=self._read, daemon=True)

    def begin(self) -> None:
        """Start to read; from now on only the process holds the writing end."""
        self.writer.close()
        self._thread.start()

    def finish(self) -> None:
        """Wait a moment for the last output; the processes have ended."""
        self._thread.join(1.0)

    def tail(self) -> str:
        """Return the end of the output so far."""
        return self._kept.decode(errors="replace")

    def last_words(self) -> str:
        """Return the line that most likely says what went wrong: the last error's, or the last line, or nothing."""
        text = self.tail()
        finished = text.rpartition("\n")[0]  # the last line may be incomplete
        lines = [line for line in (finished or text).splitlines() if line.strip()]
        errors = [line for line in lines if _ERROR.match(line)]
        whole = [line for line in lines if not line[0].isspace()]  # the others are parts of a traceback
        return (errors or whole or lines or [""])[-1].strip()

    def _read(self) -> None:
        line = b""
        with self._reader:
            while chunk := os.read(self._reader.fileno(), 2**16):
                self._kept = (self._kept + chunk)[-KEPT:]
                if self._shown > MOST_SHOWN:
                    continue
                first, *others = _END.split(chunk)  # a progress bar ends its lines with \r
                line = (line + first)[:LONGEST]
                for each in others:
                    if line.strip():
                        self._show(line)
                    line = each[:LONGEST]

    def _show(self, line: bytes) -> None:
        from dali_cutmix.utils import printable  # not above: the measured process must not import it

        self._shown += 1
        text = line.decode(errors="replace").rstrip()
        if self._shown <= MOST_SHOWN:
            print(f"{self._label}: {printable(text)}", file=sys.stderr)
        elif self._shown == MOST_SHOWN + 1:
            print(f"{self._label}: … (what else it prints is not shown)", file=sys.stderr)


def redirect(output: Connection) -> None:
    """Redirect the output of this process and of those that it starts."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(output.fileno(), stream.fileno())
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    output.close()

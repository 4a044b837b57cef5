"""A process for each measured loader, so that imports, thread pools and forked workers of one do not disturb another.

::

    contender_process.py                 child.py
    ContenderProcess(...)   ── spawn ──▶ imports the loader, warms it up
    .measure(seconds)       ── asks ───▶ counts batches
        Throughput          ◀─ answers ─ Throughput or Failure
    output.py               ◀─ prints ── stdout and stderr

A loader that raises, crashes, hangs or floods the terminal is ended with all its workers and reported as a
``ContenderError``; the others go on.
"""

from bench.loaders.process.child import Throughput
from bench.loaders.process.contender_process import SILENCE, ContenderError, ContenderProcess

__all__ = ["SILENCE", "ContenderError", "ContenderProcess", "Throughput"]

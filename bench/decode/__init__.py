"""``python -m bench decode``: DALI's JPEG decoder alone, in each of its ways, and which engine decoded.

::

    ways.py: the ways to measure                rewritten_files.py: JPEGs with restart markers, or half the pixels
        │                                               │
    command.py ─▶ decode_process.py ══▶ child.py, a process for each way: a crash is the result of that way alone
        │                                   │   decoder_log.py: who decoded, from nvImageCodec's log
    report.py ◀──────── JSON ───────────────┘   throughput.py: images per second and CPU time

``child.py`` is started with ``python -m``, which imports this package first: it imports the standard library only.
"""

from bench.decode.decoder_log import LEVEL
from bench.decode.ways import LOADS, all_ways

__all__ = ["LEVEL", "LOADS", "all_ways"]

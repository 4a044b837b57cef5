"""The loaders that are compared. A contender is a function that yields batches without end, and how to set it up.

``CONTENDERS`` lists them. A loader's own module is imported only in the process that measures it, so that a comparison
needs no loader to be installed.

To add one, write ``batches(settings)`` in a module of this package and list it in ``catalog.py``.
"""

from bench.loaders.contenders.catalog import BASELINE, CONTENDERS, OURS, READING
from bench.loaders.contenders.contender import PREFETCH, Batch, Contender, Settings

__all__ = ["BASELINE", "CONTENDERS", "OURS", "PREFETCH", "READING", "Batch", "Contender", "Settings"]

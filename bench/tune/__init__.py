"""``python -m bench tune``: find the fastest arguments of this library's loader for a machine and its data.

::

    candidates.py: arguments and the values to try
        │
    command.py ─▶ search.py: one argument after the other, each with the best values so far
                      │      a default stays unless another value is measurably faster
                      └────▶ bench.loaders.comparison measures the values of one argument side by side
"""

__all__: list[str] = []

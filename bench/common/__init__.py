"""What several benchmarks need. The package itself imports nothing, so that a process loads only what it uses.

::

    cli         options and their checks, lines to print, the result as JSON
    photos      the images to measure with: a user's folder, sample photographs, packed copies
    timing      CPU time of processes and of the machine, time of calls on a device (PyTorch only)
    processes   commands with a time limit, the process table, interrupts (standard library only)

A measured loader is a process of its own, which should carry nothing but that loader: it takes from ``timing`` and
``processes`` alone.
"""

__all__: list[str] = []

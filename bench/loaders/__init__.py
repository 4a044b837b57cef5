"""``python -m bench loaders``: the throughput of data loaders, side by side.

::

    command.py ─▶ comparison ─▶ process ══▶ a process for each loader ─▶ contenders
        │         in turn,      starts,        yields batches             this library, DALI,
        ▼         by rounds     asks, ends     without end                torchvision, timm, FFCV, SPDL
    report.py

The process of a measured loader imports this package first, and should carry nothing but that loader. So the package
itself imports nothing; others take what they need from its parts: ``CONTENDERS`` from ``bench.loaders.contenders``,
``measure_in_rounds`` from ``bench.loaders.comparison``.
"""

__all__: list[str] = []

"""``python -m bench gpu``: the tests and benchmarks that a short time on a GPU is best spent on.

::

    steps.py: each step's command, time limit and key figure     plans.py: what it measures within that time
        │
    command.py ─▶ environment ─▶ decode ─▶ tests ─▶ loaders ─▶ kernel ─▶ step ─▶ tune
        │         a command with a time limit for each; its log and its JSON
    key_figures.py ─▶ a table, and gpu.json

``environment.py`` and ``run_tests.py`` are such commands, started with ``python -m``. They import this package first,
so it imports nothing.
"""

__all__: list[str] = []

"""``python -m bench soak``: loaders for minutes or hours, with damaged files, resumes and early exits.

::

    damaged_copies.py: images to damage and restore      loader_kinds.py: which loaders
                     └──────────────┬──────────────────────────┘
    command.py ─▶ turns.py: a turn interrupts a loader at random and compares its batches with an uninterrupted run
        └───────▶ resource_trend.py: memory, open files and threads after each turn must not grow
"""

__all__: list[str] = []

"""``python -m bench step``: how much of a model's training speed is lost to waiting for this library's loader.

::

    training.py: the model, its step, a synthetic batch
        │
    command.py ─▶ rounds.py ─▶ synthetic data, loader │ loader, synthetic data │ ...
        │                      step_timing.py measures each: rate, host wait, device gap
    report.py ◀─ ratio of the two rates
"""

__all__: list[str] = []

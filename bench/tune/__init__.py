"""``python -m bench tune``: the fastest arguments of a loader on a machine."""

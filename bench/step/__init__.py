"""``python -m bench step``: how much of a training step is left to wait for data."""

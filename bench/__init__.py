"""Throughput against the loaders that one would use otherwise, and pictures to look at: ``python -m bench``."""

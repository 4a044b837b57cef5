"""``python -m bench loaders``: the throughput of data loaders, side by side."""

from bench.loaders.rounds import measure_in_rounds
from bench.loaders.stages import ON_A_GPU

__all__ = ["ON_A_GPU", "measure_in_rounds"]

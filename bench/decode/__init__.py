"""``python -m bench decode``: ways to decode on a GPU, and which engine did it."""

from bench.decode.decoder_log import LEVEL
from bench.decode.ways import LOADS, all_ways

__all__ = ["LEVEL", "LOADS", "all_ways"]

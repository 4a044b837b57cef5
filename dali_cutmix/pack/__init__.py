"""Pack a folder of classes into shards of smaller JPEGs: ``python -m dali_cutmix.pack``."""

from dali_cutmix.pack import cli

__all__ = ["cli"]

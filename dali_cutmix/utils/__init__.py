"""Small parts that know nothing of images: argument checks, atomic files, a cache folder, an ordered pool, protobuf."""

from dali_cutmix.utils.atomic_files import make_atomically, publish, write_atomically
from dali_cutmix.utils.cache import cache_folder, cache_path, remember, remembered
from dali_cutmix.utils.checks import (
    Split,
    check_chance,
    check_chances,
    check_classes,
    check_shard,
    check_size,
    check_split,
)
from dali_cutmix.utils.ordered_pool import in_order
from dali_cutmix.utils.protobuf import to_varint, varint

__all__ = [
    "Split",
    "cache_folder",
    "cache_path",
    "check_chance",
    "check_chances",
    "check_classes",
    "check_shard",
    "check_size",
    "check_split",
    "in_order",
    "make_atomically",
    "publish",
    "remember",
    "remembered",
    "to_varint",
    "varint",
    "write_atomically",
]

"""The loaders of several processes: ``all_ranks`` holds their states in one, ``check_ranks`` compares them."""

from dali_cutmix.loader.ranks.all_ranks import AllRanks
from dali_cutmix.loader.ranks.check_ranks import check_ranks

__all__ = ["AllRanks", "check_ranks"]

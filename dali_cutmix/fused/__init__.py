"""The fused pass: resample, flip, paste, normalize and cast a batch at once, on the CPU or a GPU."""

from dali_cutmix.fused import cuda, fused_mix, resample
from dali_cutmix.fused.batch_layout import table
from dali_cutmix.fused.fused_mix import FusedMix, can_fuse
from dali_cutmix.fused.resample import Resample

__all__ = ["FusedMix", "Resample", "can_fuse", "cuda", "fused_mix", "resample", "table"]

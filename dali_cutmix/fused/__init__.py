"""The fused pass: resample, flip, paste, normalize and cast a batch at once, on the CPU or a GPU.

    graph ──▶ crops, labels, random numbers ──▶ FusedMix ─┬─ plan ─▶ Resample ─▶ images
                                                          └────────────────────▶ targets

    Resample:  crops, plan ── batch_layout ──▶ table ─┬─ cpu:  resample.cpp (resample_any.h, resample_avx512.h)
                                                      └─ cuda: resample.cu

Every pixel is computed once, in float32, instead of by five operators with rounding in between.
"""

from dali_cutmix.fused import cuda, fused_mix, resample
from dali_cutmix.fused.batch_layout import sample_table
from dali_cutmix.fused.fused_mix import FusedMix, can_fuse
from dali_cutmix.fused.resample import Resample

__all__ = ["FusedMix", "Resample", "can_fuse", "cuda", "fused_mix", "resample", "sample_table"]

"""Samples that cannot be decoded: find them, say why, put others in their place."""

from dali_cutmix.bad_samples.batch_bisect import culprits
from dali_cutmix.bad_samples.decode_check import CHUNK_IMAGES, chunks, find_faults
from dali_cutmix.bad_samples.diagnosis import DecodeError, bad_samples, decode_error, is_about_samples, unreadable
from dali_cutmix.bad_samples.replacement import Replacement

__all__ = [
    "CHUNK_IMAGES",
    "DecodeError",
    "Replacement",
    "bad_samples",
    "chunks",
    "culprits",
    "decode_error",
    "find_faults",
    "is_about_samples",
    "unreadable",
]

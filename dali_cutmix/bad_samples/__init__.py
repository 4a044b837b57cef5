"""Samples that cannot be decoded: find them, say why, and read others in their place.

    a batch fails ─▶ diagnosis.find_bad_samples      decodes each of its samples on the CPU (decode_check)
                        │ none found
                        ▼
                     batch_bisect.bisect_failing_batch   runs the batch itself, without half of its samples
                        │
                        ▼
          sample numbers and reasons ─▶ decode_error     on_error="raise": an error with all paths
                                     └▶ Replacement      on_error="replace": the next good sample instead

``dali_cutmix.check`` uses ``find_undecodable`` for a whole data set. The loader does the rest.
"""

from dali_cutmix.bad_samples.batch_bisect import bisect_failing_batch
from dali_cutmix.bad_samples.decode_check import CHUNK_IMAGES, chunks, find_undecodable
from dali_cutmix.bad_samples.diagnosis import (
    DecodeError,
    decode_error,
    find_bad_samples,
    is_about_samples,
    unreadable_samples,
)
from dali_cutmix.bad_samples.replacement import Replacement

__all__ = [
    "CHUNK_IMAGES",
    "DecodeError",
    "Replacement",
    "bisect_failing_batch",
    "chunks",
    "decode_error",
    "find_bad_samples",
    "find_undecodable",
    "is_about_samples",
    "unreadable_samples",
]

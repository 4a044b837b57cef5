"""Samples that cannot be decoded: find them, say why, and read others in their place.

    a batch fails ─▶ failed_operator.is_about_samples   did an operator fail that reads or decodes?
                        │ yes                └─ no ─▶ graph_error: the operator's name and place; nothing is replaced
                        ▼
                     diagnosis.find_bad_samples         decodes each of its samples on the CPU (decode_check)
                        │ none found
                        ▼
                     batch_bisect.bisect_failing_batch  reads and decodes the batch as its graph does, without half of
                        │            └─ none found ─▶ graph_error                                   its samples
                        ▼
          sample numbers and faults ──▶ decode_error     on_error="raise": an error with the paths
                                     └▶ Replacement      on_error="replace": the next good sample instead, which
                                                         find_bad_successors looks for

``dali_cutmix.check`` uses ``find_undecodable`` for a whole data set. The loader does the rest.
"""

from dali_cutmix.bad_samples.batch_bisect import bisect_failing_batch
from dali_cutmix.bad_samples.decode_check import CHUNK_IMAGES, chunks, find_undecodable
from dali_cutmix.bad_samples.diagnosis import (
    DecodeError,
    decode_error,
    find_bad_samples,
    find_bad_successors,
)
from dali_cutmix.bad_samples.failed_operator import (
    failed_operators,
    graph_error,
    is_about_samples,
    is_about_storage,
    short_reason,
)
from dali_cutmix.bad_samples.fault import Fault
from dali_cutmix.bad_samples.replacement import Replacement
from dali_cutmix.bad_samples.sample_bytes import missing, sample_bytes
from dali_cutmix.bad_samples.storage import Patience, StorageError, gone

__all__ = [
    "CHUNK_IMAGES",
    "DecodeError",
    "Fault",
    "Patience",
    "Replacement",
    "StorageError",
    "bisect_failing_batch",
    "chunks",
    "decode_error",
    "failed_operators",
    "find_bad_samples",
    "find_bad_successors",
    "find_undecodable",
    "gone",
    "graph_error",
    "is_about_samples",
    "is_about_storage",
    "missing",
    "sample_bytes",
    "short_reason",
]

"""Find the samples that caused a decoding error; DALI names them in some cases only."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from dali_cutmix._dali import pipeline_template
from dali_cutmix.bad_samples.decode_check import find_undecodable
from dali_cutmix.bad_samples.failed_operator import short_reason
from dali_cutmix.bad_samples.fault import Fault
from dali_cutmix.bad_samples.sample_bytes import sample_bytes
from dali_cutmix.bad_samples.storage import gone, storage_error
from dali_cutmix.image_headers import FORMATS
from dali_cutmix.sources import READER, Source
from dali_cutmix.utils import printable, shown_paths

_AHEAD = 6  # batches that DALI may have read ahead


class DecodeError(RuntimeError):
    """Error for samples that cannot be decoded; its message names up to ten of them, by path, or by file and record.

    Example:
        >>> @pipeline_def(batch_size=2, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_files([("photos/cat/0.jpg", 0), ("not_an_image.jpg", 1)])
        ...     return dc.random_resized_crop(jpegs, 64), labels
        >>> try:
        ...     next(iter(dc.Loader(graph())))
        ... except dc.DecodeError as error:
        ...     print("not_an_image.jpg" in str(error))
        True
    """


def find_bad_samples(
    source: Source,
    max_pixels: int,
    checkpoint: bytes,
    substitutes: Mapping[int, int],
    pipeline: Any,
    formats: Collection[str] | None = FORMATS,
) -> dict[int, Fault]:
    """Find the samples that made a batch fail, by decoding each sample of it.

    Args:
        source: what is read.
        max_pixels: width × height of the largest image.
        checkpoint: the pipeline's state before the failed batch.
        substitutes: samples that are read in place of others.
        pipeline: the graph, for its batch size and threads.
        formats: see :func:`~dali_cutmix.bad_samples.decode_check.find_undecodable`.

    Returns:
        Number of each bad sample, and what is wrong with it; empty if all are good by now.

    Raises:
        StorageError: samples cannot be read, and so nothing is known about them.
    """
    reader = pipeline_template.build_reader(source.numbers_pipeline(pipeline.max_batch_size), checkpoint, READER)
    for _ in range(_AHEAD):  # an error may come from what is read ahead
        numbers = {np.asarray(number).item() for number in reader.run()[0]}
        found, unread = _check(source, sorted({substitutes.get(n, n) for n in numbers}), max_pixels, pipeline, formats)
        found |= (missing := gone(source, unread, waited=False))
        if away := {number: error for number, error in unread.items() if number not in missing}:
            raise storage_error(source, away)
        if found:
            return found
    return {}


def find_bad_successors(
    source: Source,
    found: Mapping[int, Fault],
    known: Mapping[int, int],
    max_pixels: int,
    pipeline: Any,
    formats: Collection[str] | None = FORMATS,
) -> dict[int, Fault]:
    """Find bad samples among those that would be read in place of ``found``: a folder of bad files then costs one look.

    The samples after a bad one are checked in growing numbers until one is good.

    Args:
        source, max_pixels, pipeline, formats: see :func:`find_bad_samples`.
        found: the bad samples.
        known: samples that are replaced already.
    """
    candidates = source.interchangeable
    bad: dict[int, Fault] = {}
    for first in found:
        at, many = first + 1, 1
        while many <= len(candidates):
            numbers = {candidates[(n - candidates.start) % len(candidates)] for n in range(at, at + many)} - {
                *found,
                *known,
                *bad,
            }
            more, unread = _check(source, sorted(numbers), max_pixels, pipeline, formats)
            bad |= (more := more | gone(source, unread, waited=False))
            if len(more) < len(numbers):
                break
            at, many = at + many, 2 * many
    return bad


def _check(
    source: Source, numbers: list[int], max_pixels: int, pipeline: Any, formats: Collection[str] | None
) -> tuple[dict[int, Fault], dict[int, OSError]]:
    """Read and decode samples: what is wrong with the bad ones, and errors of those that cannot be read."""
    faults: dict[int, Fault] = {}
    unread: dict[int, OSError] = {}
    images = {}
    for number in numbers:
        match sample_bytes(source, number):
            case Fault() as fault:
                faults[number] = fault
            case OSError() as error:
                unread[number] = error
            case encoded:
                images[number] = encoded
    undecodable = find_undecodable(list(images.values()), max_pixels, formats, num_threads=pipeline.num_threads)
    order = list(images)
    return faults | {order[i]: fault for i, fault in undecodable.items()}, unread


def decode_error(source: Source, faults: Mapping[int, Fault], error: RuntimeError) -> DecodeError:
    """Make the error to raise instead of DALI's, with the paths of the first ten bad samples of the failed batch."""
    named = shown_paths(f"{source.name(number)} ({fault.reason})" for number, fault in sorted(faults.items()))
    return DecodeError(
        f"cannot be decoded: {named}. {source.fix}; every other file of its batch is fine. To continue without bad "
        f"files: on_error='replace'. DALI says: {printable(short_reason(error))}"
    )

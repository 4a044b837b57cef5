"""Find the samples that caused a decoding error; DALI names them in some cases only."""

import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from dali_cutmix._dali import pipeline_template
from dali_cutmix.bad_samples.decode_check import find_undecodable
from dali_cutmix.bad_samples.failed_operator import short_reason
from dali_cutmix.bad_samples.fault import Fault
from dali_cutmix.image_headers import FORMATS
from dali_cutmix.sources import READER, Source

_AHEAD = 6  # batches that DALI may have read ahead


class DecodeError(RuntimeError):
    """Error for samples that cannot be decoded; its message has the path of each, or file and record.

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
    formats: Collection[str] = FORMATS,
) -> dict[int, Fault]:
    """Find the samples that made a batch fail, by decoding each sample of it.

    Args:
        source: what is read.
        max_pixels: width × height of the largest image.
        checkpoint: the pipeline's state before the failed batch.
        substitutes: samples that are read in place of others.
        pipeline: the graph, for its batch size and threads.
        formats: names of the formats that are decoded.

    Returns:
        Number of each bad sample, and what is wrong with it; empty if all are good by now.
    """
    reader = pipeline_template.build_reader(source.numbers_pipeline(pipeline.max_batch_size), checkpoint, READER)
    for _ in range(_AHEAD):  # an error may come from what is read ahead
        numbers = {np.asarray(number).item() for number in reader.run()[0]}
        found = _check(source, sorted({substitutes.get(n, n) for n in numbers}), max_pixels, pipeline, formats)
        if found:
            return found | _bad_successors(source, found, substitutes, max_pixels, pipeline, formats)
    return {}


def _bad_successors(
    source: Source,
    found: Mapping[int, Fault],
    known: Mapping[int, int],
    max_pixels: int,
    pipeline: Any,
    formats: Collection[str],
) -> dict[int, Fault]:
    """Find bad samples among those that would be read in place of ``found``: a folder of bad files then costs one look.

    The samples after a bad one are checked in growing numbers until one is good.
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
            more = _check(source, sorted(numbers), max_pixels, pipeline, formats)
            bad |= more
            if len(more) < len(numbers):
                break
            at, many = at + many, 2 * many
    return bad


_UNREADABLE = re.compile(r"(?:Could not open file|Failed to read file:) (?P<path>.+?)(?P<why>: [^:/]+)?$", re.MULTILINE)
_MISSING_ON_S3 = re.compile(r"S3 Object not found\. bucket=(?P<bucket>\S+) object=(?P<key>.+):$", re.MULTILINE)


def unreadable_samples(error: RuntimeError, source: Source) -> dict[int, Fault]:
    """Find the samples that could not be read when a pipeline was set to a checkpoint.

    DALI then also reads the sample before the checkpoint, which a reader that starts there does not deliver.

    Returns:
        Number of each such sample, and what is wrong with it.
    """
    if match := _UNREADABLE.search(str(error)):
        return dict.fromkeys(source.find(match["path"]), Fault("missing", f"cannot be read{match['why'] or ''}"))
    if match := _MISSING_ON_S3.search(str(error)):
        address = f"s3://{match['bucket']}/{match['key']}"
        return dict.fromkeys(source.find(address), Fault("missing", "cannot be read: no such object"))
    return {}


def _check(
    source: Source, numbers: list[int], max_pixels: int, pipeline: Any, formats: Collection[str]
) -> dict[int, Fault]:
    faults: dict[int, Fault] = {}
    images = {}
    for number in numbers:
        try:
            images[number] = source.encoded(number)
        except OSError as error:
            faults[number] = Fault("missing", f"cannot be read: {error.strerror or error}")
        except RuntimeError as error:
            faults[number] = Fault("missing", f"cannot be read: {short_reason(error)}")
    undecodable = find_undecodable(list(images.values()), max_pixels, formats, num_threads=pipeline.num_threads)
    order = list(images)
    return faults | {order[i]: fault for i, fault in undecodable.items()}


def decode_error(source: Source, faults: Mapping[int, Fault], error: RuntimeError) -> DecodeError:
    """Make the error to raise instead of DALI's, with the path of every bad sample of the failed batch."""
    named = ", ".join(f"{source.name(number)} ({fault.reason})" for number, fault in sorted(faults.items()))
    return DecodeError(
        f"cannot be decoded: {named}. {source.fix}; every other file of its batch is fine. To continue without bad "
        f"files: on_error='replace'. DALI says: {short_reason(error)}"
    )

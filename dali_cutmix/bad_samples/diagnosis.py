"""After a decoding error: find the samples that caused it. DALI names them in some cases only."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from dali_cutmix._dali import pipeline_template
from dali_cutmix.bad_samples.batch_bisect import short
from dali_cutmix.bad_samples.decode_check import find_faults
from dali_cutmix.sources import READER, Source

_OPERATORS = ("decoders", "peek_image_shape", "reshape", "readers")
_AHEAD = 6  # batches


class DecodeError(RuntimeError):
    """Samples that cannot be decoded; the message has their paths, of a record also the file that it is in."""


def is_about_samples(error: RuntimeError, source: Source) -> bool:
    """Whether DALI's error comes from reading or decoding."""
    return any(name in str(error) for name in (*_OPERATORS, *source.operators))


def bad_samples(
    source: Source, max_pixels: int, checkpoint: bytes, substitutes: Mapping[int, int], pipeline: Any
) -> dict[int, str]:
    """Numbers of the samples that made a batch fail, and what is wrong with each; none where all are good by now.

    Args:
        source: what is read.
        max_pixels: of the largest image.
        checkpoint: the pipeline's state before the failed batch.
        substitutes: samples that are read in the place of others.
        pipeline: the graph, for its batch size and threads.
    """
    reader = pipeline_template.build_reader(source.numbers(pipeline.max_batch_size), checkpoint, READER)
    for _ in range(_AHEAD):  # an error may come from what is read ahead
        numbers = {np.asarray(number).item() for number in reader.run()[0]}
        found = _faults(source, sorted({substitutes.get(n, n) for n in numbers}), max_pixels, pipeline)
        if found:
            return found | _following(source, found, substitutes, max_pixels, pipeline)
    return {}


def _following(
    source: Source, found: Mapping[int, str], known: Mapping[int, int], max_pixels: int, pipeline: Any
) -> dict[int, str]:
    """Bad samples among those that would come in the place of ``found``: whole folders of bad files cost one look.

    The samples after a bad one are looked at in growing numbers until one is good.
    """
    own = source.own
    bad: dict[int, str] = {}
    for first in found:
        at, many = first + 1, 1
        while many <= len(own):
            numbers = {own[(n - own.start) % len(own)] for n in range(at, at + many)} - {*found, *known, *bad}
            more = _faults(source, sorted(numbers), max_pixels, pipeline)
            bad |= more
            if len(more) < len(numbers):
                break
            at, many = at + many, 2 * many
    return bad


_UNREAD = re.compile(r"(?:Could not open file|Failed to read file:) (?P<path>.+?)(?P<why>: [^:/]+)?$", re.MULTILINE)
_UNREAD_ON_S3 = re.compile(r"S3 Object not found\. bucket=(?P<bucket>\S+) object=(?P<key>.+):$", re.MULTILINE)


def unreadable(error: RuntimeError, source: Source) -> dict[int, str]:
    """Numbers of the samples whose file could not be read when a pipeline was set to a checkpoint.

    DALI then reads the sample before the checkpoint too, which no reader of numbers from there on gives.
    """
    if match := _UNREAD.search(str(error)):
        return dict.fromkeys(source.find(match["path"]), f"cannot be read{match['why'] or ''}")
    if match := _UNREAD_ON_S3.search(str(error)):
        return dict.fromkeys(source.find(f"s3://{match['bucket']}/{match['key']}"), "cannot be read: no such object")
    return {}


def _faults(source: Source, numbers: list[int], max_pixels: int, pipeline: Any) -> dict[int, str]:
    faults, images = {}, {}
    for number in numbers:
        try:
            images[number] = source.encoded(number)
        except OSError as unreadable:
            faults[number] = f"cannot be read: {unreadable.strerror or unreadable}"
        except RuntimeError as unreadable:
            faults[number] = f"cannot be read: {short(unreadable)}"
    undecodable = find_faults(list(images.values()), max_pixels, num_threads=pipeline.num_threads)
    order = list(images)
    return faults | {order[i]: reason for i, reason in undecodable.items()}


def decode_error(source: Source, faults: Mapping[int, str], error: RuntimeError) -> DecodeError:
    """The error to raise instead of DALI's: with the path of every bad sample of the failed batch."""
    named = ", ".join(f"{source.name(number)} ({reason})" for number, reason in sorted(faults.items()))
    return DecodeError(
        f"cannot be decoded: {named}. {source.mend}; every other file of its batch is fine. To go on without bad "
        f"files: on_error='replace'. DALI says: {short(error)}"
    )

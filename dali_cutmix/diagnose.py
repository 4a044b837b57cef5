"""After a decoding error: find the samples that caused it. DALI names them in some cases only."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dali_cutmix import rebuild
from dali_cutmix.fault import find_faults
from dali_cutmix.source import READER, Source

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
        pipeline: the graph, for its batch size, device and prefetch.
    """
    reader = rebuild.build_reader(source.numbers(pipeline.max_batch_size), checkpoint, READER)
    for _ in range(_AHEAD):  # an error may come from what is read ahead
        numbers = {np.asarray(number).item() for number in reader.run()[0]}
        found = _faults(source, sorted({substitutes.get(n, n) for n in numbers}), max_pixels, pipeline)
        if found:
            return found
    return {}


def _faults(source: Source, numbers: list[int], max_pixels: int, pipeline: Any) -> dict[int, str]:
    faults, images = {}, {}
    for number in numbers:
        try:
            images[number] = source.encoded(number)
        except OSError as unreadable:
            faults[number] = f"cannot be read: {unreadable.strerror or unreadable}"
        except RuntimeError as unreadable:
            faults[number] = f"cannot be read: {_short(unreadable)}"
    undecodable = find_faults(
        list(images.values()),
        max_pixels,
        device_id=pipeline.device_id,
        num_threads=pipeline.num_threads,
    )
    order = list(images)
    return faults | {order[i]: reason for i, reason in undecodable.items()}


def decode_error(source: Source, faults: Mapping[int, str], error: RuntimeError) -> DecodeError:
    """The error to raise instead of DALI's: with the path of every bad sample of the failed batch."""
    named = ", ".join(f"{source.name(number)} ({reason})" for number, reason in sorted(faults.items()))
    return DecodeError(
        f"cannot be decoded: {named}. {source.mend}; every other file of its batch is fine. To go on without bad "
        f"files: on_error='replace'. DALI says: {_short(error)}"
    )


def _short(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "ailed" in line or "failure" in line), lines[0])

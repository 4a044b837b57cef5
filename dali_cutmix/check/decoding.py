"""Decode all samples of a data set in child processes, and tell which are bad."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from dali_cutmix.bad_samples import CHUNK_IMAGES, Fault, chunks, find_undecodable, missing, sample_bytes
from dali_cutmix.sources import Source
from dali_cutmix.utils import OF_PROCESS, Crash, in_order, map_in_children

_ENCODED_BYTES = 32 * 2**20  # most that a child holds
_READERS = 4  # threads of a child that read: the disk works on several files at once


class Checked(NamedTuple):
    """What became of some samples.

    Args:
        numbers: of the samples.
        faults: number of each bad one, and what is wrong with it.
        crash: what ended the process that decoded them together, if none of them did it alone; else None.
    """

    numbers: Sequence[int]
    faults: dict[int, Fault]
    crash: Crash | None


def check(source: Source, *, workers: int, timeout: float, **limits: Any) -> Iterator[Checked]:
    """Decode all samples.

    Args:
        source: the data set.
        workers: number of processes.
        timeout: seconds that the samples of one group may take.
        limits: see :func:`~dali_cutmix.bad_samples.find_undecodable`.
    """
    numbers = range(len(source))
    groups = (numbers[start : start + CHUNK_IMAGES] for start in range(0, len(source), CHUNK_IMAGES))
    judge = partial(_judge, source, limits)
    for items, results, crash in map_in_children(judge, groups, workers=workers, timeout=timeout, ahead=4 * workers):
        faults = {
            number: _fault(result) if isinstance(result, Crash) else result
            for number, result in zip(items, results, strict=True)
            if result is not None
        }
        is_unexplained = crash is not None and not any(isinstance(result, Crash) for result in results)
        yield Checked(items, faults, crash if is_unexplained else None)


def _fault(crash: Crash) -> Fault:
    """A file that ends the process that decodes it may be a good one, in an odd format: it is not called damaged."""
    return Fault("not supported", f"{crash.sentence('its decoder')}; convert or remove it")


def _judge(source: Source, limits: dict[str, Any], numbers: Sequence[int]) -> list[Fault | None]:
    """What is wrong with each sample."""
    faults: dict[int, Fault] = {}
    read = in_order(partial(_read, source), numbers, threads=_READERS, ahead=2 * _READERS)
    for chunk in chunks(read, lambda result: len(result[1]), _ENCODED_BYTES):
        faults |= {number: found for number, found in chunk if isinstance(found, Fault)}
        good = [(number, found) for number, found in chunk if not isinstance(found, Fault)]
        undecodable = find_undecodable([found for _, found in good], **limits)
        faults |= {good[i][0]: fault for i, fault in undecodable.items()}
    return [faults.get(number) for number in numbers]


def _read(source: Source, number: int) -> tuple[int, np.ndarray | Fault]:
    found = sample_bytes(source, number)
    if isinstance(found, OSError):
        if found.errno in OF_PROCESS:
            raise found
        return number, missing(found)
    return number, found

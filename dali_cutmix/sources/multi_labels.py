"""MultiLabels: the classes of samples that have any number of them, compact, as dense labels of a batch."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from numbers import Integral

import numpy as np

LARGEST = 2**31 - 1
"""Largest label; DALI's file reader has 32 bits."""


class MultiLabels:
    """The classes of every sample in two arrays, some bytes a sample instead of a Python list.

    Four samples, with the classes 0 and 3, none, 1, and 0 to 2:

        classes   0 3 | | 1 | 0 1 2
        starts    0 2 2 3 6              sample n has classes[starts[n]] to classes[starts[n + 1] - 1]

    Args:
        classes: of all samples, one sample after the other, each in ascending order.
        starts: where each sample's begin, and the end.
    """

    def __init__(self, classes: np.ndarray, starts: np.ndarray) -> None:
        self._classes, self._starts = classes, starts

    @classmethod
    def of(cls, lists: Sequence[Sequence[int]]) -> "MultiLabels":
        """Pack lists of classes.

        Raises:
            ValueError: a list holds anything but different whole numbers from 0.
        """
        counts = np.fromiter(map(len, lists), np.int64, len(lists))
        kinds = set(map(type, chain.from_iterable(lists)))
        if not all(issubclass(kind, Integral) and kind is not bool for kind in kinds):
            raise _refusal(lists)
        try:
            flat = np.fromiter(chain.from_iterable(lists), np.int64, counts.sum())
        except OverflowError:
            raise _refusal(lists) from None
        largest = int(flat.max(initial=0))
        if flat.min(initial=0) < 0 or largest > LARGEST:
            raise _refusal(lists)
        # Sorted by sample, then by class: repeated ones are neighbours, and the order in a list makes no difference.
        keys = np.repeat(np.arange(len(lists)), counts) * (largest + 1) + flat
        keys.sort(kind="stable")
        if (keys[1:] == keys[:-1]).any():
            raise _refusal(lists)
        classes = (keys % (largest + 1)).astype(np.min_scalar_type(largest))
        return cls(classes, np.concatenate([[0], np.cumsum(counts)]))

    @property
    def num_classes(self) -> int:
        """The least number of classes that the labels need; 0 where no sample has any."""
        return int(self._classes.max()) + 1 if len(self._classes) else 0

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self._classes.nbytes + self._starts.nbytes

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all labels."""
        found = hashlib.sha256(self._starts.data)
        found.update(self._classes.astype(np.int32).data)
        return found.hexdigest()

    def dense(self, num_classes: int, numbers: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Labels of a batch, as a function for DALI.

        Args:
            num_classes: K.
            numbers: of the samples, each of shape [1].

        Returns:
            For each sample K float32, 1 for its classes and 0 for all others.
        """
        samples = np.concatenate(numbers)
        starts = self._starts[samples]
        counts = self._starts[samples + 1] - starts
        rows = np.repeat(np.arange(len(samples)), counts)
        places = np.arange(len(rows)) + np.repeat(starts - np.cumsum(counts) + counts, counts)
        labels = np.zeros((len(samples), num_classes), np.float32)
        labels[rows, self._classes[places]] = 1
        return list(labels)


def _refusal(lists: Sequence[Sequence[int]]) -> ValueError:
    number = next(number for number, labels in enumerate(lists) if not _are_classes(labels))
    return ValueError(
        f"read_files: sample {number}: labels {lists[number]!r} given; expected different whole numbers from 0 to "
        f"{LARGEST}, the classes of the sample. If they are a vector of 0 and 1, give np.flatnonzero(vector)."
    )


def _are_classes(labels: Sequence[int]) -> bool:
    if not all(isinstance(label, Integral) and not isinstance(label, bool) for label in labels):
        return False
    return all(0 <= label <= LARGEST for label in labels) and len(set(labels)) == len(labels)

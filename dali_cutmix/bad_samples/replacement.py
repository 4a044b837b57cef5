"""Replacement: which samples are bad, which ones are read in their place, and a log of both."""

import os
import time
from collections.abc import Iterable, Mapping, Set

from dali_cutmix.bad_samples.bad_log import BadLog
from dali_cutmix.bad_samples.diagnosis import DecodeError
from dali_cutmix.bad_samples.fault import Fault
from dali_cutmix.sources import Source
from dali_cutmix.utils import check_fraction, printable


class Replacement:
    """Bad samples of a source, each replaced by the next good one of its shard.

    Bad samples 2 and 3 of a shard with samples 0 to 4: 4 is read in place of both. With 4 bad, too, it is 0.

    Args:
        source: what is read.
        max_bad: largest fraction of all samples that may be bad.
        log: file to which each bad sample is appended, as one line of JSON.
        check: refuse a log in a folder that is not writable.

    Raises:
        ValueError: ``max_bad`` is not a fraction, or the log cannot be written.
    """

    def __init__(self, source: Source, max_bad: float, log: str | os.PathLike[str], *, check: bool = True) -> None:
        self._source = source
        self._max_bad = check_fraction("max_bad", max_bad, "a fraction of all samples")
        self._log = BadLog(log, check=check)
        self._bad: Set[int] = set()
        self._missing: Set[int] = set()

    @property
    def bad(self) -> list[int]:
        """Numbers of the samples that are replaced for good; together with the source, the whole state.

        Samples whose files are missing are not among them: the next process tries to read them again.
        """
        return sorted(self._bad)

    def set(self, numbers: Iterable[int]) -> None:
        """Replace exactly these samples for good, in all pipelines that are built from now on."""
        self._replace(set(numbers), self._missing)

    def _replace(self, bad: Set[int], missing: Set[int]) -> None:
        self._bad, self._missing = bad, missing
        self._source.substitute(self.substitutes)

    @property
    def substitutes(self) -> dict[int, int]:
        """Number of each bad sample of this shard, and of the one that is read in its place.

        That is the next good one in the list, and so mostly one of the same class.
        """
        return self._substitutes(self._bad | self._missing)

    def _substitutes(self, replaced: Set[int]) -> dict[int, int]:
        candidates = self._source.interchangeable
        first_good = next((number for number in candidates if number not in replaced), None)
        found: dict[int, int] = {}
        if first_good is None:
            return found
        for number in (bad for bad in sorted(replaced, reverse=True) if bad in candidates):
            following = number + 1
            found[number] = first_good if following == candidates.stop else found.get(following, following)
        return found

    def add(self, faults: Mapping[int, Fault], error: RuntimeError) -> None:
        """Replace samples that turned out to be bad, and log them; if that fails, none of them is replaced.

        Args:
            faults: number of each, and what is wrong with it.
            error: DALI's.

        Raises:
            DecodeError: too many are bad, or all of this shard.
            OSError: they cannot be logged.
        """
        before = self._bad, self._missing
        gone = {number for number, fault in faults.items() if fault.kind == "missing"}
        bad, missing = self._bad | (faults.keys() - gone), self._missing | gone
        others = self._substitutes(bad | missing)
        self._write_log(faults, others)  # first: a state never names a sample that the log does not have
        count, total = len(bad | missing), len(self._source)
        too_many = count > self._max_bad * total
        if too_many or not others.keys() >= faults.keys():
            why = f"more than max_bad={self._max_bad:g} allows" if too_many else "and none is left to replace them"
            raise DecodeError(
                f"{count} of {total} samples cannot be decoded, {why}; they are listed in "
                f"{printable(self._log.path)}. Fix the data (python -m dali_cutmix.check finds all bad files)"
                + (", or give a larger max_bad." if too_many else ".")
            ) from error
        try:
            self._replace(bad, missing)
        except BaseException:
            self._replace(*before)  # if the batch is tried again, it fails again
            raise

    def _write_log(self, faults: Mapping[int, Fault], others: Mapping[int, int]) -> None:
        entries = [
            {
                "path": self._source.name(number),
                "kind": fault.kind,
                "reason": fault.reason,
                "replaced_by": self._source.name(others[number]) if number in others else None,
                "rank": self._source.shard[0],
                "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            }
            for number, fault in sorted(faults.items())
        ]
        self._log.append(entries)

"""Replacement: which samples are bad, which are read in their place, and the record of both."""

import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from dali_cutmix.bad_samples.diagnosis import DecodeError
from dali_cutmix.sources import Source


class Replacement:
    """Bad samples of a source, each with the next good one of its shard in its place.

    Args:
        source: what is read.
        max_bad: share of all samples that may be bad.
        log: file to which every bad sample is appended, one JSON object a line.
        check: refuse a log that cannot be written at once.

    Raises:
        ValueError: no share, or a log that cannot be written.
    """

    def __init__(self, source: Source, max_bad: float, log: str | os.PathLike[str], *, check: bool = True) -> None:
        if not (isinstance(max_bad, (int, float)) and 0 <= max_bad <= 1):
            raise ValueError(f"max_bad={max_bad!r} given; it is a share of all samples, 0 to 1.")
        self._source = source
        self._max_bad = max_bad
        self._log = Path(log).absolute()
        place = next(folder for folder in self._log.parents if folder.exists())
        if check and not (place.is_dir() and os.access(place, os.W_OK)):
            raise ValueError(f"bad_log={str(log)!r} given; {place} is no folder that can be written to.")
        self._bad: set[int] = set()

    @property
    def bad(self) -> list[int]:
        """Numbers of the samples that are replaced: with the source, this is all there is to know."""
        return sorted(self._bad)

    def set(self, numbers: Iterable[int]) -> None:
        """Replace exactly these from the next pipeline on."""
        self._bad = set(numbers)
        self._source.substitute(self.substitutes)

    @property
    def substitutes(self) -> dict[int, int]:
        """For each bad sample of this shard the number of the one that is read in its place.

        It is the next good one in the list, and so mostly one of the same class.
        """
        own = self._source.own
        first_good = next((number for number in own if number not in self._bad), None)
        found: dict[int, int] = {}
        if first_good is None:
            return found
        for number in (bad for bad in reversed(self.bad) if bad in own):
            following = number + 1
            found[number] = first_good if following == own.stop else found.get(following, following)
        return found

    def add(self, faults: Mapping[int, str], error: RuntimeError) -> None:
        """Replace samples that turned out to be bad, and record them.

        Raises:
            DecodeError: too many are bad, or all of this shard.
            OSError: they cannot be recorded.
        """
        self.set(self._bad | faults.keys())
        others = self.substitutes
        self._record(faults, others)
        total = len(self._source)
        if len(self._bad) > self._max_bad * total or not others.keys() >= faults.keys():
            raise DecodeError(
                f"{len(self._bad)} of {total} samples cannot be decoded, more than max_bad={self._max_bad:g} allows; "
                f"they are listed in {self._log}. Mend the data (python -m dali_cutmix.check finds all bad files), or "
                "give a larger max_bad."
            ) from error

    def _record(self, faults: Mapping[int, str], others: Mapping[int, int]) -> None:
        entries = [
            {
                "path": self._source.name(number),
                "reason": reason,
                "replaced_by": self._source.name(others[number]) if number in others else None,
                "rank": self._source.shard[0],
                "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            }
            for number, reason in sorted(faults.items())
        ]
        lines = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        # One call appends all of it, so that the lines of several processes do not mix.
        descriptor = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            os.write(descriptor, lines.encode(errors="surrogateescape"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

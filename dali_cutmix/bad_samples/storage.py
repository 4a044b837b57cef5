"""Storage that is away for a while: how long it is waited for, and which single files are simply gone."""

import errno
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from itertools import islice
from queue import Empty, SimpleQueue

from dali_cutmix.bad_samples.fault import Fault
from dali_cutmix.bad_samples.sample_bytes import missing
from dali_cutmix.sources import Source
from dali_cutmix.utils import shown_paths

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds between two tries
_SLICE = 0.5  # seconds after which the end of the process is noticed
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM)
"""Errors of a file that is not there; all others (EIO, ESTALE, ETIMEDOUT, …) are of the storage itself."""
_NEVER = (errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL)
"""Errors of a path that no waiting will mend."""
_NEIGHBOURS = 3  # on each side


class StorageError(OSError):
    """Error for files that cannot be read, for longer than ``retry`` of the ``Loader``: none of them is called bad.

    Its message names up to ten of them. The loader stays where it is: once they can be read again, the next batch is
    the one that failed.

    Args:
        what: which files cannot be read.
        errors: number of each sample that cannot be read, and why.

    Example:
        >>> issubclass(dc.StorageError, OSError)
        True
    """

    def __init__(self, what: str, errors: Mapping[int, OSError]) -> None:
        super().__init__(
            f"the storage fails: {what} None was replaced or logged for it. Once they can be read again, continue: the "
            "next batch is the same. The Loader's retry= sets for how many seconds they are tried."
        )
        self.what, self.errors = what, dict(errors)


class Patience:
    """The time for which failing storage is waited for, with longer and longer pauses between two tries.

    Args:
        seconds: the time.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end: float | None = None
        self._pause = _FIRST_PAUSE
        # No threading.Event: see dali_cutmix.utils.worker.
        self._cancellations: SimpleQueue[None] = SimpleQueue()

    def wait(self, why: str) -> bool:
        """Wait for the next try; False if the time is up.

        Args:
            why: what is wrong, for the warning before the first pause.

        Raises:
            InterruptedError: the time is not up, but somebody has cancelled, or the process ends.
        """
        now = time.monotonic()
        if self._end is None:
            self._end, self._pause = now + self._seconds, _FIRST_PAUSE
            if self._seconds:
                warnings.warn(f"{why} Trying again for {self._seconds:g} s.", RuntimeWarning, stacklevel=3)
        if now >= self._end:
            self.reset()
            return False
        until = min(now + self._pause, self._end)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        while (left := until - time.monotonic()) > 0:
            # At the end of the process the main thread waits for this one.
            if self._take_cancellation(min(left, _SLICE)) or not threading.main_thread().is_alive():
                self.reset()
                raise InterruptedError("nobody waits for the storage any more")
        return True

    def reset(self) -> None:
        """Begin anew: all could be read, or the time was up."""
        self._end = None
        while self._take_cancellation(0):
            pass

    def cancel(self) -> None:
        """End the waiting of another thread."""
        self._cancellations.put(None)

    def _take_cancellation(self, seconds: float) -> bool:
        try:
            self._cancellations.get(timeout=seconds)
        except Empty:
            return False
        return True


def gone(source: Source, errors: Mapping[int, OSError], *, waited: bool) -> dict[int, Fault]:
    """Find the samples whose files are gone while those around them are there.

    A folder or a disk that is away takes whole neighbourhoods with it. So a sample is called missing only if its folder
    is there, and most of the samples next to it in the list can be opened; after ``retry`` the latter is enough.

    Args:
        source: what is read.
        errors: number of each sample that cannot be read, and why.
        waited: whether ``retry`` is over; before that errors of the storage itself may still pass.
    """
    can_open = cache(source.can_open)
    found = {}
    for number, error in errors.items():
        if error.errno in _NEVER:
            is_gone = True
        elif waited or (error.errno in _GONE and source.folder_exists(number)):
            # Itself last: it may have come back while the others were looked at.
            is_gone = _neighbours_open(can_open, number, len(source)) and not source.can_open(number)
        else:
            is_gone = False
        if is_gone:
            found[number] = missing(error)
    return found


def _neighbours_open(can_open: Callable[[int], bool], number: int, count: int) -> bool:
    around = [n for n in range(number - _NEIGHBOURS, number + _NEIGHBOURS + 1) if n != number and 0 <= n < count]
    closed = (n for n in around if not can_open(n))
    # No more are tried than needed: where storage is away, each may take long.
    return len(list(islice(closed, -(-len(around) // 2)))) * 2 < len(around)


def storage_error(source: Source, errors: Mapping[int, OSError]) -> StorageError:
    """Make the error for samples of a batch that cannot be read."""
    named = shown_paths(f"{source.name(number)} ({error.strerror or error})" for number, error in errors.items())
    return StorageError(f"{len(errors)} samples of a batch cannot be read: {named}.", errors)

"""ListedFiles: the files of a list, one for each sample, by number."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
from nvidia.dali import fn, pipeline_def

from dali_cutmix.sources.sample_list import SampleList
from dali_cutmix.utils import MAX_BYTES, check_regular, open_regular


class ListedFiles:
    """The files of a list: where each is, checked before DALI opens it.

    Args:
        samples: names and labels.
        root: folder, or S3 bucket and prefix, which the names are relative to.
        max_bytes: size of the largest local file that is read.
    """

    fix = "Remove or replace the file"
    """What a user can do about a bad sample."""

    def __init__(self, samples: SampleList, root: str, max_bytes: int = MAX_BYTES) -> None:
        self._samples, self._root, self._max_bytes = samples, os.path.join(root, ""), max_bytes
        self._is_remote = root.startswith("s3://")
        self._prefix = os.fsencode(self._root)

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def digest(self) -> str:
        """SHA-256 of all names and labels."""
        return self._samples.digest

    def name(self, number: int) -> str:
        """Path of a sample."""
        return self._root + self._samples.name(number)

    def __call__(self, numbers: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Paths of a batch, 1-D uint8 each, and labels, int64 scalars, as a function for DALI.

        Raises:
            OSError: a file is missing, too large, or not a regular file: DALI would wait for a FIFO for ever.
        """
        paths, labels = [], []
        for number in numbers:
            name, label = self._samples.entry(number.item())
            path = self._prefix + name
            if not self._is_remote:
                check_regular(os.stat(path), path, self._max_bytes)  # noqa: PTH116  (a fifth of Path's time)
            paths.append(np.frombuffer(path, np.uint8))
            labels.append(np.array(label))
        return paths, labels

    def read(self, number: int) -> np.ndarray:
        """Bytes of one sample, 1-D uint8.

        Raises:
            OSError: it cannot be read.
        """
        if self._is_remote:
            return _read_by_dali(self.name(number))
        with os.fdopen(open_regular(self.name(number), self._max_bytes), "rb") as file:
            return np.fromfile(file, np.uint8)

    def folder_exists(self, number: int) -> bool:
        """Whether the folder of a sample is there; S3 has none."""
        return self._is_remote or Path(self.name(number)).parent.is_dir()

    def can_open(self, number: int) -> bool:
        """Whether the file of a sample is there, and may be read."""
        try:
            if self._is_remote:
                self.read(number)
            else:
                os.close(open_regular(self.name(number)))
        except OSError:
            return False
        return True


def _read_by_dali(path: str) -> np.ndarray:
    """The bytes of a file anywhere DALI can read it, 1-D uint8.

    Raises:
        OSError: the file cannot be read.
    """

    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def graph() -> Any:
        return fn.readers.file(files=[path], dont_use_mmap=True)[0]

    try:
        return np.array(graph().run()[0][0])
    except RuntimeError as error:
        if "Object not found" in str(error):
            raise OSError(errno.ENOENT, "no such object", path) from error
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise OSError(errno.EIO, next((line for line in lines if "S3" in line), lines[0]), path) from error

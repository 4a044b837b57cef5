"""SampleList: the name and label of every sample, compact, in the form that DALI's file reader takes."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from numbers import Integral

import numpy as np

from dali_cutmix.utils import PathLike, Uncopyable


class SampleList:
    """Names and labels as lines of text, as in DALI's ``file_list``: 60 bytes a sample instead of a Python string.

    Args:
        content: one line for each sample, each with its line break.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content

    @classmethod
    def of(cls, names: Sequence[str], labels: Iterable[int]) -> "SampleList":
        """Make a list from names and labels; labels are 0 or more.

        Raises:
            ValueError: a name cannot be written as a line.
        """
        lines = "".join(f"{name} {label}\n" for name, label in zip(names, labels, strict=True))
        content = os.fsencode(lines)
        odd = content.startswith(b" ") or b"\0" in content or re.search(rb"\s \d+\n", content)
        if odd or content.count(b"\n") != len(names):
            name = next(name for name in names if name != name.rstrip() or not name or set(name) & set("\n\0"))
            raise ValueError(
                f"{name!r}: a name that is empty, ends with a space or holds a line break cannot be read; rename it."
            )
        return cls(content)

    @classmethod
    def numbered(cls, count: int) -> "SampleList":
        """Make a list of samples without bytes, each labelled with its number."""
        return cls("".join(f"{os.devnull} {number}\n" for number in range(count)).encode())

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.flatnonzero(np.frombuffer(self.content, np.uint8) == ord("\n"))

    def __len__(self) -> int:
        return len(self._ends)

    def _line(self, number: int) -> bytes:
        start = self._ends[number - 1] + 1 if number else 0
        return self.content[start : self._ends[number]]

    def name(self, number: int) -> str:
        """Name of a sample."""
        return os.fsdecode(self._line(number).rpartition(b" ")[0])

    def label(self, number: int) -> int:
        """Label of a sample."""
        return int(self._line(number).rpartition(b" ")[2])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all names and labels."""
        return hashlib.sha256(self.content).hexdigest()

    def find(self, name: str) -> list[int]:
        """Numbers of the samples with this name."""
        lines = re.finditer(rb"^" + re.escape(os.fsencode(name)) + rb" \d+$", self.content, re.MULTILINE)
        return np.searchsorted(self._ends, [line.end() for line in lines]).tolist()

    def replaced(self, substitutes: Mapping[int, int]) -> "SampleList":
        """A copy with other samples in place of some.

        Args:
            substitutes: number of each place, and of the sample that comes there.
        """
        parts, done = [], 0
        for number, other in sorted(substitutes.items()):
            start = self._ends[number - 1] + 1 if number else 0
            parts += [self.content[done:start], self._line(other)]
            done = self._ends[number]
        return SampleList(b"".join([*parts, self.content[done:]]))


class ListFile(Uncopyable):
    """A list under a path, in memory; a pipeline reads what is there when it is built."""

    def __init__(self, samples: SampleList) -> None:
        self._descriptor = os.memfd_create("dali_cutmix", os.MFD_CLOEXEC)
        self.path = f"/proc/self/fd/{self._descriptor}"
        self.write(samples)

    def write(self, samples: SampleList) -> None:
        """Put another list in its place."""
        os.ftruncate(self._descriptor, 0)
        view, at = memoryview(samples.content), 0
        while at < len(view):  # a call writes 2 GiB at most
            at += os.pwrite(self._descriptor, view[at:], at)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)


def list_samples(samples: Iterable[tuple[PathLike, int]]) -> tuple[str, SampleList, int]:
    """List files that are given one by one, as (path, label).

    Returns:
        The longest folder that all paths share, the list with names below it, and the largest label.

    Raises:
        ValueError: no samples, an invalid path or label, or local paths and S3 mixed.
    """
    pairs = list(samples)
    if not pairs:
        raise ValueError("read_files: no samples given; give at least one (path, label).")
    wrong = "read_files: {} given; expected (path, label) with a label of 0 or more."
    try:
        paths, given = [os.fspath(path) for path, _ in pairs], [label for _, label in pairs]
        if "" in paths:
            raise ValueError("an empty path")
    except (TypeError, ValueError) as error:
        raise ValueError(wrong.format(f"{pairs[0]!r} (first of {len(pairs)})")) from error
    labels = np.array(given)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.min() < 0:
        bad = next(pair for pair in pairs if not (isinstance(pair[1], Integral) and pair[1] >= 0))
        raise ValueError(wrong.format(repr(bad)))
    paths = [path if path[0] == "/" or path.startswith("s3://") else os.path.abspath(path) for path in paths]
    common = os.path.commonprefix([min(paths), max(paths)])  # noqa: RUF071  (commonpath would unite s3:// to s3:/)
    root = common[: common.rfind("/") + 1]
    if root in ("", "s3://"):
        remote = sum(path.startswith("s3://") for path in paths)
        raise ValueError(
            f"read_files: {remote} of {len(paths)} paths begin with s3://, below {root!r}; give local paths, or "
            "paths that are all in one bucket."
        )
    return root, SampleList.of([path[len(root) :] for path in paths], labels.tolist()), int(labels.max())

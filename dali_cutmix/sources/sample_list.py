"""Listing: (name, label) of every sample, compact, in the form in which DALI's file reader takes millions of them."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np


class Listing:
    """Lines of name and label, as DALI's ``file_list`` has them: 60 bytes a sample instead of a Python string.

    Args:
        content: one line for each sample, each with its end.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content

    @classmethod
    def of(cls, names: Sequence[str], labels: Iterable[int]) -> "Listing":
        """From names and labels, 0 or more.

        Raises:
            ValueError: a name that cannot be written as a line.
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
    def numbers(cls, count: int) -> "Listing":
        """Samples without bytes, each labelled with its number."""
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
        """Of a sample."""
        return os.fsdecode(self._line(number).rpartition(b" ")[0])

    def label(self, number: int) -> int:
        """Of a sample."""
        return int(self._line(number).rpartition(b" ")[2])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all names and labels."""
        return hashlib.sha256(self.content).hexdigest()

    def find(self, name: str) -> list[int]:
        """Numbers of the samples with this name."""
        lines = re.finditer(rb"^" + re.escape(os.fsencode(name)) + rb" \d+$", self.content, re.MULTILINE)
        return np.searchsorted(self._ends, [line.end() for line in lines]).tolist()

    def replaced(self, substitutes: Mapping[int, int]) -> "Listing":
        """The same with other samples in the place of some: by number, whose place it is, and what comes there."""
        parts, done = [], 0
        for number, other in sorted(substitutes.items()):
            start = self._ends[number - 1] + 1 if number else 0
            parts += [self.content[done:start], self._line(other)]
            done = self._ends[number]
        return Listing(b"".join([*parts, self.content[done:]]))


class ListFile:
    """A listing under a path, in memory: what is there when a pipeline is built is what it reads."""

    def __init__(self, listing: Listing) -> None:
        self._descriptor = os.memfd_create("dali_cutmix", os.MFD_CLOEXEC)
        self.path = f"/proc/self/fd/{self._descriptor}"
        self.write(listing)

    def write(self, listing: Listing) -> None:
        """Put another listing in its place."""
        os.ftruncate(self._descriptor, 0)
        view, at = memoryview(listing.content), 0
        while at < len(view):  # a call writes 2 GiB at most
            at += os.pwrite(self._descriptor, view[at:], at)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

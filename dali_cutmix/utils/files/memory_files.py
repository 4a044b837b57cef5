"""Files in memory, for DALI's file reader: its list, and the one that it reads for every number that it draws."""

import os
from functools import cache

from dali_cutmix.utils.uncopyable import Uncopyable

DESCRIPTORS = "/proc/self/fd"
"""Folder of this process's open files."""


class MemoryFile(Uncopyable):
    """Bytes under a path; a pipeline reads what is there when it is built."""

    def __init__(self, content: bytes) -> None:
        self._descriptor = os.memfd_create("dali_cutmix", os.MFD_CLOEXEC)
        self.path = f"{DESCRIPTORS}/{self._descriptor}"
        self.write(content)

    def write(self, content: bytes) -> None:
        """Put other bytes in their place."""
        os.ftruncate(self._descriptor, 0)
        view, at = memoryview(content), 0
        while at < len(view):  # a call writes 2 GiB at most
            at += os.pwrite(self._descriptor, view[at:], at)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)


@cache
def one_byte() -> int:
    """Descriptor of a file of one byte, open as long as the process runs.

    DALI maps it once for all samples; ``/dev/null`` would be opened for each, at twice the cost.
    """
    descriptor = os.memfd_create("dali_cutmix", os.MFD_CLOEXEC)
    os.write(descriptor, b"\0")
    return descriptor

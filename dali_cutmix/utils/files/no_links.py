"""Files of a fixed name in a folder that others may write to: opened only if the name is no link of theirs."""

import os
from pathlib import Path

from dali_cutmix.utils.files.regular_files import check_regular, naming


def opened_unless_link(path: str, flags: int) -> int:
    """An ``opener`` of Python's ``open`` that refuses links, FIFOs and devices, and makes a file that is missing.

    Raises:
        OSError: it is one of these, or cannot be opened.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    try:
        with naming(path):
            check_regular(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_lock(path: Path) -> int:
    """Open a file to lock, made where it is missing; its content is never touched.

    Returns:
        The file's descriptor, which the caller closes.

    Raises:
        OSError: see :func:`opened_unless_link`.
    """
    return opened_unless_link(os.fspath(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)

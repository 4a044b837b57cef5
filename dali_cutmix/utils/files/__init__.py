"""Files that others may have placed, opened only if regular, through no link where a name is fixed; files in memory.

- ``regular_files``: files are opened only if they are regular ones, and not too large; errors that name their file
- ``no_links``: lock files and logs, whose fixed names may be links that others placed
- ``memory_files``: files in memory, for DALI's file reader
- ``text_files``: text in UTF-8, with errors that name the file
"""

from dali_cutmix.utils.files.memory_files import DESCRIPTORS, MemoryFile, one_byte
from dali_cutmix.utils.files.no_links import open_lock, opened_unless_link
from dali_cutmix.utils.files.regular_files import (
    MAX_BYTES,
    OF_PROCESS,
    NotRegularFileError,
    TooLargeError,
    check_regular,
    naming,
    open_regular,
    read_regular,
)
from dali_cutmix.utils.files.text_files import read_text

__all__ = [
    "DESCRIPTORS",
    "MAX_BYTES",
    "OF_PROCESS",
    "MemoryFile",
    "NotRegularFileError",
    "TooLargeError",
    "check_regular",
    "naming",
    "one_byte",
    "open_lock",
    "open_regular",
    "opened_unless_link",
    "read_regular",
    "read_text",
]

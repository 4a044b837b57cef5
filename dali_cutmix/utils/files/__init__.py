"""Open files that others may have placed: regular ones only, and through no link where a name is fixed.

- ``regular_files``: files are opened only if they are regular ones, and not too large; errors that name their file
- ``no_links``: lock files and logs, whose fixed names may be links that others placed
- ``text_files``: text in UTF-8, with errors that name the file
"""

from dali_cutmix.utils.files.no_links import open_lock, opened_unless_link
from dali_cutmix.utils.files.regular_files import (
    MAX_BYTES,
    NotRegularFileError,
    TooLargeError,
    check_regular,
    naming,
    open_regular,
    read_regular,
)
from dali_cutmix.utils.files.text_files import read_text

__all__ = [
    "MAX_BYTES",
    "NotRegularFileError",
    "TooLargeError",
    "check_regular",
    "naming",
    "open_lock",
    "open_regular",
    "opened_unless_link",
    "read_regular",
    "read_text",
]

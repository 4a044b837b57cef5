"""read_text: the text of a file that a user gave."""

import codecs
from pathlib import Path

from dali_cutmix.utils.files.regular_files import TooLargeError, read_regular

_LARGEST = 2**32


def read_text(path: Path) -> str:
    """The text of a regular file in UTF-8, without a byte order mark.

    Raises:
        OSError: it cannot be read, or is no regular file.
        ValueError: it is not UTF-8, holds a NUL, or has more than 4 GiB.
    """
    try:
        text = read_regular(path, _LARGEST).removeprefix(codecs.BOM_UTF8).decode()
    except TooLargeError as error:
        raise ValueError(f"{path}: more than {_LARGEST >> 30} GiB, too much for a list.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error}); save it as UTF-8.") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"{path}, line {line}: it holds a NUL, so it is no text; save it as UTF-8.")
    return text

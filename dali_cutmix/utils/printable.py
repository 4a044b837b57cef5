"""Text for a terminal: names of files may hold control sequences, line breaks, or bytes that are no text."""

import os
from collections.abc import Iterable

LINES = "\n"
"""Characters that a message of several lines keeps."""
_SHOWN = 10


def printable(text: object, *, keep: str = "") -> str:
    r"""Escape what must not reach a terminal: control and format characters, and bytes that are not UTF-8.

        "a\x1b[31m.jpg"    ESC, a control character          → a\x1b[31m.jpg
        "a\u202egpj.exe"   turns the direction of writing    → a\u202egpj.exe
        b"\xff.jpg"        not UTF-8; Python has "\udcff"    → \xff.jpg

    A text without such characters stays as it is, and so does one that was escaped before.

    Args:
        text: what to print; anything else than a string is converted by ``str``.
        keep: characters that are not escaped, such as :data:`LINES` for a message of several lines.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as Python writes it in names of files
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shown_paths(paths: Iterable[str | os.PathLike[str]]) -> str:
    """Name the first ten of many paths, and how many more there are; see :func:`printable`.

    ``a.jpg, b.jpg, …, j.jpg and 48 more``

    Args:
        paths: of the files, or texts that begin with one.
    """
    every = [os.fspath(path) for path in paths]
    rest = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(map(printable, every[:_SHOWN])) + rest

"""expand_braces: the names that a pattern with braces stands for, as in bash and in webdataset."""

import re
import string
from collections.abc import Iterator
from itertools import product

_NUMBERS = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.-?(\d+))?")
_LETTERS = re.compile(r"([A-Za-z])\.\.([A-Za-z])(?:\.\.-?(\d+))?")
_ALPHABET = string.ascii_uppercase + string.ascii_lowercase


def expand_braces(pattern: str) -> Iterator[str]:
    """Expand ranges and lists in braces; several are combined, the last one changes fastest.

        train-{08..10}.tar      train-08.tar  train-09.tar  train-10.tar
        {a,b}-{0..4..2}         a-0  a-2  a-4  b-0  b-2  b-4
        {train,{x,y}-val}       train  x-val  y-val
        {name}                  {name}

    Raises:
        ValueError: a brace is not closed, or was not opened.
    """
    start, end = _outermost(pattern)
    if start < 0:
        return iter((pattern,))
    found = product(_alternatives(pattern[start + 1 : end]), expand_braces(pattern[end + 1 :]))
    return (pattern[:start] + one + rest for one, rest in found)


def _outermost(pattern: str) -> tuple[int, int]:
    """Where the first brace opens and closes; -1 where there is none."""
    start, depth = -1, 0
    for at, character in enumerate(pattern):
        if character == "{":
            start = at if start < 0 else start
            depth += 1
        elif character == "}":
            depth -= 1
            if depth < 0:
                break
            if depth == 0:
                return start, at
    if depth:
        raise ValueError("a brace is not closed, or was not opened")
    return -1, -1


def _alternatives(content: str) -> Iterator[str]:
    """What the content of a pair of braces stands for."""
    if found := _NUMBERS.fullmatch(content):
        first, last, step = found.groups()
        padded = any(re.match(r"-?0\d", end) for end in (first, last))
        width = max(len(first), len(last)) if padded else 0
        return (f"{number:0{width}d}" for number in _range(int(first), int(last), step))
    if found := _LETTERS.fullmatch(content):
        first, last, step = found.groups()
        return (_ALPHABET[place] for place in _range(_ALPHABET.index(first), _ALPHABET.index(last), step))
    parts = _split(content)
    if len(parts) == 1:
        return (f"{{{one}}}" for one in expand_braces(content))
    return (one for part in parts for one in expand_braces(part))


def _range(first: int, last: int, step: str | None) -> range:
    by = int(step or 1) or 1
    return range(first, last + 1, by) if first < last else range(first, last - 1, -by)


def _split(content: str) -> list[str]:
    """Split at the commas that are in no inner pair of braces."""
    parts, depth = [""], 0
    for character in content:
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts

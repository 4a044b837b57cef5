"""Varint: whole numbers as protocol buffers write them."""

from collections.abc import Sequence


def varint(data: Sequence[int] | memoryview, at: int) -> tuple[int, int]:
    """The number that begins at a place, and where it ends.

    Raises:
        IndexError: the data end before it does.
    """
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def to_varint(value: int) -> bytes:
    """The bytes of a whole number of 0 or more."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F)
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])

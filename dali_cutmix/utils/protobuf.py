"""The wire format of protocol buffers: fields, each with a number, a type and a value; numbers as varints."""

from collections.abc import Iterator, Sequence

_VARINT, _WITH_LENGTH = 0, 2  # wire types
_FIXED = {1: 8, 5: 4}  # wire types of numbers of a fixed size, and that size in bytes


def varint(data: Sequence[int] | memoryview, at: int) -> tuple[int, int]:
    """Decode the number that begins at an offset.

    Returns:
        The number, and the offset behind it.

    Raises:
        IndexError: the data ends before the number does.
        ValueError: the number has more than ten bytes, as none of 64 bits has.
    """
    value = shift = 0
    while True:
        if shift > 63:
            raise ValueError("a number of more than ten bytes")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def to_varint(value: int) -> bytes:
    """Encode a whole number of 0 or more."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F)
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Split a message into its fields.

    Yields:
        Number and content of each field.

    Raises:
        ValueError: the message is damaged, or has a field of another type.
    """
    at = 0
    try:
        while at < len(message):
            key, at = varint(message, at)
            if key & 7 == _VARINT:
                start = at
                _, at = varint(message, at)
                yield key >> 3, message[start:at]
                continue
            if key & 7 == _WITH_LENGTH:
                size, at = varint(message, at)
            elif key & 7 in _FIXED:
                size = _FIXED[key & 7]
            else:
                raise ValueError(f"a field of wire type {key & 7}")
            if at + size > len(message):
                raise ValueError("a field is cut off")
            yield key >> 3, message[at : at + size]
            at += size
    except IndexError as error:
        raise ValueError("a number is cut off") from error

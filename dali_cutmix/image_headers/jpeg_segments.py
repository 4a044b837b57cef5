"""Walk the segments of a JPEG file, from its start to its pixels."""

import re
from collections.abc import Iterator
from struct import Struct, error

from dali_cutmix.image_headers.header import DamagedHeaderError, cut_off

START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # Huffman tables, reserved, arithmetic conditioning
APP1, _START_OF_SCAN, _FILL = 0xE1, 0xDA, 0xFF
_MARKER = re.compile(rb"\xff([^\xff\x00])", re.DOTALL)
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_NEVER_HERE = frozenset({0xD8, 0xD9})  # a start or an end, before the pixels
_SPECIAL = {0x00, APP1, _START_OF_SCAN, _FILL, *_WITHOUT_LENGTH, *_NEVER_HERE, *START_OF_FRAME}
_IS_PLAIN = bytes(marker not in _SPECIAL for marker in range(256))
_MOST_SEGMENTS = 100_000
_SEGMENT = Struct(">BBH").unpack_from


class StrayBytesError(DamagedHeaderError):
    """Bytes that belong to no segment lie between two segments: libjpeg skips them, DALI's parser stops there."""


def segments(data: memoryview) -> Iterator[tuple[int, int, int]]:
    """Find frames and APP1 segments, as DALI's parser walks. Any number of fill bytes, FF, may precede a marker.

    Args:
        data: the file, which begins with ``FF D8``.

    Yields:
        Marker, and start and end of its content in ``data``, of each such segment before the pixels.

    Raises:
        StrayBytesError: see there.
        DamagedHeaderError: the segments end before the pixels begin.
    """
    at, size = 2, len(data)
    for _ in range(_MOST_SEGMENTS):
        try:
            first, marker, length = _SEGMENT(data, at)
        except error:
            break
        if _IS_PLAIN[marker] and first == 0xFF and length >= 2:  # most are: the fast way
            at += 2 + length
            continue
        if first != 0xFF or marker == 0x00 or marker in _WITHOUT_LENGTH:
            raise StrayBytesError("stray bytes between its segments")
        if marker == _FILL:
            at += 1
            continue
        if marker == _START_OF_SCAN:
            return
        if length < 2 or marker in _NEVER_HERE:
            break
        start, at = at + 4, at + 2 + length
        if at > size:
            break
        yield marker, start, at
    raise cut_off()


def without_stray_bytes(data: memoryview) -> bytes:
    """Copy a JPEG file without the bytes between its segments, as libjpeg skips them.

    Raises:
        DamagedHeaderError: the segments end before the pixels begin.
    """
    parts, at = [bytes(data[:2])], 2
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.search(data, at)
        if found is None:
            break
        marker, at = found[1][0], found.end()
        if marker == _START_OF_SCAN:
            return b"".join([*parts, data[at - 2 :]])
        if marker in _WITHOUT_LENGTH:
            continue
        length = int.from_bytes(data[at : at + 2])
        if length < 2 or marker in _NEVER_HERE:
            break
        parts.append(bytes(data[at - 2 : at + length]))
        at += length
    raise cut_off()

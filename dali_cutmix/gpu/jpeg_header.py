"""Read the header of a JPEG file."""

import re
from typing import Any

_MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)  # any number of fill bytes may precede a marker
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8)}
_START_OF_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # Huffman tables, reserved, arithmetic conditioning
# Luma samples for each chroma sample, across and down, with nvImageCodec's names.
_NAMES: dict[tuple[float, float], str] = {
    (1, 1): "4:4:4",
    (2, 1): "4:2:2",
    (2, 2): "4:2:0",
    (1, 2): "4:4:0",
    (4, 1): "4:1:1",
    (4, 2): "4:1:0",
    (2, 4): "4:1:0V",
}


def _frame(data: memoryview) -> bytes | None:
    """Contents of the frame header; None where there is none."""
    if data[:2] != b"\xff\xd8":
        return None
    at = 2
    while found := _MARKER.match(data, at):
        marker, at = found[1][0], found.end()
        if marker in _WITHOUT_LENGTH:
            continue
        length = int.from_bytes(data[at : at + 2])
        if length < 2 or marker in (0x00, 0xD8, 0xD9, 0xDA):  # no marker, a start, an end, or pixels before a frame
            return None
        if marker in _START_OF_FRAME:
            return bytes(data[at + 2 : at + length])
        at += length
    return None


def chroma(encoded: Any) -> str | None:
    """Name a JPEG image's chroma subsampling; thumbnails inside the file are ignored.

    Args:
        encoded: a whole file or its beginning, bytes or a one-dimensional array of uint8.

    Returns:
        "4:2:0", "4:4:4" and the like, "gray" for one component, "CMYK" for four; the sampling factors of the
        components where there is no name, such as "3x1/1x1/1x1". None if the file is not a JPEG, or is damaged before
        the end of its frame header.
    """
    frame = _frame(memoryview(encoded).cast("B"))
    if frame is None or len(frame) < 6 or len(frame) < 6 + 3 * frame[5]:
        return None
    factors = [(factor >> 4, factor & 15) for factor in frame[7 : 6 + 3 * frame[5] : 3]]
    if not factors or not all(1 <= across <= 4 and 1 <= down <= 4 for across, down in factors):
        return None
    if len(factors) in (1, 4):
        return "gray" if len(factors) == 1 else "CMYK"
    (across, down), (chroma_across, chroma_down), *_ = factors
    ratio = (across / chroma_across, down / chroma_down)
    if len(factors) == 3 and factors[1] == factors[2] and ratio in _NAMES:
        return _NAMES[ratio]
    return "/".join(f"{across}x{down}" for across, down in factors)

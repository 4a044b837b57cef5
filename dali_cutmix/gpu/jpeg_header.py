"""Read what a JPEG file's header says of its chroma."""

from typing import Any

from dali_cutmix.image_headers import START_OF_FRAME, HeaderError, segments

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
    try:
        return next((bytes(data[start:end]) for marker, start, end in segments(data) if marker in START_OF_FRAME), None)
    except HeaderError:
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

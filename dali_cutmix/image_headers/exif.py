"""EXIF orientation, as DALI's decoders read it: what they turn must be known before they decode.

They have two readers of EXIF: one for the size of an image, and OpenCV's for its pixels. Where the two disagree, memory
is overwritten, so an image that lets them disagree must not be decoded.
"""

import struct
from collections.abc import Sequence

from dali_cutmix.image_headers.header import DamagedHeaderError, NotSupportedError, not_supported

_ORIENTATION = 0x0112
_SHORTS = {_ORIENTATION, 0x0128, 0x0213}
_TEXTS = {0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x8298}
_RATIONALS = {0x011A: 1, 0x011B: 1, 0x013E: 2, 0x013F: 6, 0x0211: 3, 0x0214: 6}
"""Tags of fractions, and how many each has."""


def orientation(block: memoryview, *, keeps_damaged: bool = False) -> int | None:
    """Read the orientation of an EXIF block.

    Args:
        block: its bytes from the byte order on: ``II*\\0`` or ``MM\\0*``.
        keeps_damaged: whether one of DALI's decoders applies what it has read of a block when it finds it damaged.

    Returns:
        1 to 8; 1 where there is no orientation, or another number; None where DALI ignores the block as damaged.

    Raises:
        HeaderError: DALI's decoders do not agree about the block.
    """
    seen: list[int] = []
    whole = _read(block, seen)
    turn = seen[0] if seen and 1 <= seen[0] <= 8 else 1  # the first one counts
    if turn != 1 and whole and block[:2] not in (b"II", b"MM"):
        raise disagreement()
    if turn != 1 and not whole and keeps_damaged:
        raise DamagedHeaderError("its EXIF block is damaged")
    return turn if whole else None


def _read(block: memoryview, seen: list[int]) -> bool:
    """Read a block as DALI does, up to what is damaged.

    Args:
        block: see :func:`orientation`.
        seen: orientations are appended to it.

    Returns:
        Whether the block is whole; False also for what is no EXIF.
    """
    size = len(block)
    order = "<" if block[:2] == b"II" else ">"
    short, long = struct.Struct(f"{order}H").unpack_from, struct.Struct(f"{order}I").unpack_from
    try:
        (magic,), (start,) = short(block, 2), long(block, 4)
        if magic != 42:
            return False
        (count,) = short(block, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            (tag,) = short(block, at)
            if tag in _SHORTS:
                (value,) = short(block, at + 8)
                if tag == _ORIENTATION:
                    seen.append(value)
            elif tag in _TEXTS:
                (length,) = long(block, at + 4)
                if (long(block, at + 8)[0] if length > 4 else 8) + length > size:
                    return False
            elif tag in _RATIONALS and long(block, at + 8)[0] + 8 * _RATIONALS[tag] > size:
                return False
    except struct.error:  # beyond its end
        return False
    return count > 0


def agreed(found: Sequence[int | None], decoded: int) -> int:
    """Refuse an image with several EXIF blocks that give it different orientations.

    Args:
        found: orientation of each block that a decoder may take for EXIF; None for a block that all ignore.
        decoded: the orientation that DALI expects.

    Returns:
        ``decoded``.

    Raises:
        NotSupportedError: there is another one.
    """
    if any(one is not None and one != decoded for one in found):
        raise disagreement()
    return decoded


def disagreement() -> NotSupportedError:
    """Make the error for EXIF blocks that disagree."""
    return not_supported("an image whose EXIF blocks disagree about its orientation")

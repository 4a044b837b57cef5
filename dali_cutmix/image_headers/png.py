"""Read the header of a PNG file."""

from struct import Struct, error
from zlib import crc32

from dali_cutmix.image_headers.exif import disagreement, orientation
from dali_cutmix.image_headers.header import DamagedHeaderError, Header, cut_off, not_supported

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK = Struct(">I4s").unpack_from
_SIZE = Struct(">IIBB").unpack_from
_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits of a sample for each type of colour."""
_MOST_CHUNKS = 1_000_000
_LONGEST_SIDE = 1_000_000  # libpng's limit


def read_png(data: memoryview) -> Header:
    """Read a PNG's header: all its chunks, since the orientation may stand behind the pixels.

    Args:
        data: the file, which begins with PNG's signature.

    Raises:
        HeaderError: see :func:`dali_cutmix.image_headers.inspect`.
    """
    at, size, turns = len(SIGNATURE), len(data), list[int]()
    try:
        if _CHUNK(data, at) != (13, b"IHDR"):
            raise cut_off()
        width, height, depth, colour = _SIZE(data, at + 8)
        for _ in range(_MOST_CHUNKS):
            length, name = _CHUNK(data, at)
            end = at + 12 + length
            if end > size:
                raise cut_off()
            if name in _ANIMATION:
                raise not_supported("an animated PNG")
            if name == b"eXIf":
                turns += _turn(data[at + 4 : end])
            if name == b"IEND":
                break
            at = end
        else:
            raise cut_off()
    except error:
        raise cut_off() from None
    if depth not in _DEPTHS.get(colour, ()) or not width or not height:
        raise DamagedHeaderError("its header is damaged: no valid size or colour")
    if max(width, height) > _LONGEST_SIDE:
        raise not_supported(f"a PNG of {width}×{height} pixels, with a side of more than {_LONGEST_SIDE:,}")
    if len(set(turns)) > 1:
        raise disagreement()
    return Header("png", height, width, turns[0] if turns else 1)


def _turn(chunk: memoryview) -> list[int]:
    """Orientation in a chunk ``eXIf``, if any.

    Args:
        chunk: its name, content and checksum.
    """
    found = orientation(chunk[4:-4], keeps_damaged=True)
    # A chunk whose checksum is wrong counts for DALI's size of the image, and not for its pixels.
    if found is not None and found != 1 and crc32(chunk[:-4]) != int.from_bytes(chunk[-4:]):
        raise DamagedHeaderError("its EXIF block is damaged")
    return [] if found is None else [found]

"""Read the header of a WebP file."""

from struct import Struct, error

from dali_cutmix.image_headers.exif import orientation
from dali_cutmix.image_headers.header import DamagedHeaderError, Header, cut_off, not_supported

_CHUNK = Struct("<4sI").unpack_from
_TWO_SHORTS = Struct("<HH").unpack_from
_LONG = Struct("<I").unpack_from
_ANIMATED, _HAS_EXIF = 1 << 1, 1 << 3
_MOST_CHUNKS = 100_000


def is_webp(start: bytes) -> bool:
    """Whether a file's first 12 bytes are those of a WebP."""
    return start[:4] == b"RIFF" and start[8:12] == b"WEBP"


def read_webp(data: memoryview) -> Header:
    """Read a WebP's header.

    Args:
        data: the file, see :func:`is_webp`.

    Raises:
        HeaderError: see :func:`dali_cutmix.image_headers.inspect`.
    """
    turn, mended = 1, None
    try:
        name, length = _CHUNK(data, 12)
        if name == b"VP8X":
            flags = data[20]
            width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
            if flags & _ANIMATED:
                raise not_supported("an animated WebP")
            if length < 10 or len(data) < 30:
                raise cut_off()
            if flags & _HAS_EXIF:
                turn, mended = _exif(data, 20 + length + length % 2)
        elif name == b"VP8 ":
            if data[23:26] != b"\x9d\x01\x2a":
                raise cut_off()
            width, height = (side & 0x3FFF for side in _TWO_SHORTS(data, 26))
        elif name == b"VP8L":
            if data[20] != 0x2F:
                raise cut_off()
            (bits,) = _LONG(data, 21)
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        else:
            raise cut_off()
    except (error, IndexError):
        raise cut_off() from None
    if not width or not height:
        raise DamagedHeaderError("its header is damaged: no pixels")
    return Header("webp", height, width, turn, mended)


def _exif(data: memoryview, first: int) -> tuple[int, bytes | None]:
    """Orientation in the first chunk ``EXIF``, and the file with this chunk in front where DALI would not find it.

    Args:
        data: the file.
        first: where the chunks behind the header begin.
    """
    at, odd = first, first % 2 == 1
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(data):
            break
        name, length = _CHUNK(data, at)
        end = at + 8 + length
        if end > len(data):
            raise cut_off()
        if name == b"EXIF":
            turn = orientation(data[at + 8 : end], keeps_damaged=True) or 1
            # DALI does not know that a zero follows a chunk of odd length, and loses its way.
            return turn, b"".join([data[:first], data[at : end + length % 2], data[first:]]) if odd else None
        odd = odd or length % 2 == 1
        at = end + length % 2
    # Without the flag DALI does not look for what is not there.
    return 1, b"".join([data[:20], bytes([data[20] & ~_HAS_EXIF]), data[21:]])

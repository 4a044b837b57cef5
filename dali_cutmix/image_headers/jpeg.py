"""Read the header of a JPEG file."""

from struct import Struct, error

from dali_cutmix.image_headers.exif import agreed, orientation
from dali_cutmix.image_headers.header import DamagedHeaderError, Header, NotSupportedError, cut_off, not_supported
from dali_cutmix.image_headers.jpeg_segments import APP1, StrayBytesError, segments, without_stray_bytes

_EXIF, _MAGIC = b"Exif\0\0", (b"*\0", b"\0*")
_FRAME = Struct(">BHHB").unpack_from
_UNDECODED = dict.fromkeys((0xC3, 0xCB), "a lossless JPEG") | dict.fromkeys(
    (0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "a hierarchical JPEG"
)


def read_jpeg(data: memoryview) -> Header:
    """Read a JPEG's header; where bytes lie between segments, the header has the file without them.

    Args:
        data: the file, which begins with ``FF D8``.

    Raises:
        HeaderError: see :func:`dali_cutmix.image_headers.inspect`.
    """
    try:
        return _read(data)
    except StrayBytesError:
        mended = without_stray_bytes(data)
        return _read(memoryview(mended))._replace(mended=mended)


def _read(data: memoryview) -> Header:
    frame: tuple[int, int] | None = None
    blocks: list[int] | None = None
    damaged = False
    decoded = 1  # the orientation that DALI expects: of the last block with EXIF's name
    for marker, start, end in segments(data):
        if marker != APP1:
            frame = marker, start
        else:
            is_exif = data[start : start + 6] == _EXIF
            if is_exif and end < start + 6:
                raise DamagedHeaderError("its EXIF block is damaged")  # DALI would take its length for a huge one
            if (found := orientation(data[start + 6 : end])) is not None:
                blocks = [*(blocks or ()), found]
                decoded = found if is_exif else decoded
            elif data[start + 8 : start + 10] in _MAGIC:
                damaged = True
    if frame is None:
        raise cut_off()
    marker, start = frame
    try:
        precision, height, width, components = _FRAME(data, start)
    except error:
        raise cut_off() from None
    if marker in _UNDECODED or precision != 8 or components not in (1, 3, 4) or not height:
        raise _unusual(marker, precision, height, components)
    if not width:
        raise DamagedHeaderError("its header is damaged: 0 pixels wide")
    if damaged and decoded != 1:  # one of DALI's decoders may apply what it can read of the damaged block
        raise DamagedHeaderError("one of its EXIF blocks is damaged")
    return Header("jpeg", height, width, agreed(blocks, decoded) if blocks else 1)


def _unusual(marker: int, precision: int, height: int, components: int) -> NotSupportedError:
    if marker in _UNDECODED:
        return not_supported(_UNDECODED[marker])
    if precision != 8:
        return not_supported(f"a JPEG of {precision} bits")
    if not height:
        return not_supported("a JPEG whose height is behind its pixels")
    return not_supported(f"a JPEG of {components} components")

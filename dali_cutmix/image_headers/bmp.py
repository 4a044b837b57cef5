"""Read the header of a BMP file: only plain ones, without compression, are decoded."""

from struct import Struct, error

from dali_cutmix.image_headers.header import DamagedHeaderError, Header, cut_off, not_supported

_START = Struct("<10xII").unpack_from
_OLD = Struct("<HHHH").unpack_from
_NEW = Struct("<iiHHI12xI").unpack_from
_MASKS = Struct("<III").unpack_from
_SIZES = (40, 52, 56, 64, 108, 124)
_PLAIN, _RLE8, _RLE4, _BIT_FIELDS = 0, 1, 2, 3
_BGRX = (0xFF0000, 0xFF00, 0xFF)


def read_bmp(data: memoryview) -> Header:
    """Read a BMP's header.

    Args:
        data: the file, which begins with ``BM``.

    Raises:
        HeaderError: see :func:`dali_cutmix.image_headers.inspect`.
    """
    compression, colours = _PLAIN, 0
    try:
        pixels_at, size = _START(data, 0)
        if size == 12:
            width, height, _, bits = _OLD(data, 18)
        elif size in _SIZES:
            width, height, _, bits, compression, colours = _NEW(data, 18)
        else:
            raise not_supported(f"a BMP whose header has {size} bytes")
        if compression == _BIT_FIELDS and bits == 32 and _MASKS(data, 54) != _BGRX:
            raise not_supported("a BMP with its colours in another order")
    except error:
        raise cut_off() from None
    height = abs(height)
    if compression in (_RLE8, _RLE4):
        raise not_supported("a compressed BMP (RLE)")
    if bits not in (1, 4, 8, 24, 32) or compression not in (_PLAIN, _BIT_FIELDS if bits == 32 else _PLAIN):
        raise not_supported(f"a BMP of {bits} bits, compression {compression}")
    if width < 1 or not height:
        raise DamagedHeaderError(f"its header is damaged: {width}×{height} pixels")
    palette = 0 if bits > 8 else (3 if size == 12 else 4) * (colours or 1 << bits)
    if bits <= 8 and colours > 1 << bits:
        raise not_supported(f"a BMP of {bits} bits with {colours} colours")
    if pixels_at < 14 + size or 14 + size + palette > len(data):
        raise cut_off()
    row, stride = -(-width * bits // 8), -(-width * bits // 32) * 4
    if pixels_at + stride * (height - 1) + row > len(data):
        raise DamagedHeaderError("its data is cut off")
    return Header("bmp", height, width)

"""Read the header of a JPEG 2000 file: only complete RGB images of 8 bits are decoded."""

from struct import Struct, error

from dali_cutmix.image_headers.header import DamagedHeaderError, Header, cut_off, not_supported

MARKS = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_BOX = Struct(">I4s").unpack_from
_SIZE = Struct(">HHHIIIIIIIIH").unpack_from
_PART = Struct(">HHHI").unpack_from
_SEGMENT = Struct(">HH").unpack_from
_START_OF_PART, _MOST = 0xFF90, 100_000


def read_jpeg2000(data: memoryview) -> Header:
    """Read a JPEG 2000's header.

    Args:
        data: the file, which begins with one of ``MARKS``.

    Raises:
        HeaderError: see :func:`dali_cutmix.image_headers.inspect`.
    """
    try:
        code = data if data[0] == 0xFF else _code_stream(data)
        marker, _, _, right, bottom, left, top, *_, components = _SIZE(code, 2)
        shapes = {bytes(code[at : at + 3]) for at in range(42, 42 + 3 * components, 3)}
        if marker != 0xFF51 or right <= left or bottom <= top or len(code) < 42 + 3 * components:
            raise cut_off()
        if components != 3 or shapes != {b"\x07\x01\x01"} or left or top:
            raise not_supported("a JPEG 2000 that is not RGB of 8 bits")
        _check_parts(code)
    except (error, IndexError):
        raise cut_off() from None
    return Header("jpeg2000", bottom, right)


def _code_stream(data: memoryview) -> memoryview:
    at = 0
    for _ in range(_MOST):
        length, name = _BOX(data, at)
        if name == b"jp2c":
            return data[at + 8 : at + length] if length else data[at + 8 :]
        if length < 8:
            break
        at += length
    raise cut_off()


def _check_parts(code: memoryview) -> None:
    """Refuse an image whose tile parts are not all there: OpenJPEG may end the process for it."""
    at = 2
    for _ in range(_MOST):
        marker, length = _SEGMENT(code, at)
        if marker == _START_OF_PART:
            break
        at += 2 + length
    for _ in range(_MOST):
        if len(code) - at < 12:
            break
        marker, _, _, length = _PART(code, at)
        if marker != _START_OF_PART or not 12 <= length <= len(code) - at:
            break
        at += length
    if bytes(code[at:]) != b"\xff\xd9":
        raise DamagedHeaderError("its data is damaged or cut off")

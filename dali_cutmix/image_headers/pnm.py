"""Read the header of a PNM file: only binary PGM and PPM of 8 or 16 bits are decoded."""

import re

from dali_cutmix.image_headers.header import DamagedHeaderError, Header, cut_off, not_supported

_MARK = re.compile(rb"P[1-7][\s#]")
_HEADER_BYTES = 4096
_GAP = rb"(?:[ \t\r\n]++(?:#[^\n]*+\n)?)++"
_HEADER = re.compile(rb"P([56])%b(\d{1,9})%b(\d{1,9})%b(\d{1,9})\s" % (_GAP, _GAP, _GAP))


def is_pnm(start: bytes) -> bool:
    """Whether a file begins as one of the PNM formats."""
    return _MARK.match(start) is not None


def read_pnm(data: memoryview) -> Header:
    """Read a PNM's header.

    Args:
        data: the file, see :func:`is_pnm`.

    Raises:
        HeaderError: see :func:`dali_cutmix.image_headers.inspect`.
    """
    if data[1] not in b"56":
        raise not_supported("a PNM that is not a binary PGM or PPM")
    found = _HEADER.match(bytes(data[:_HEADER_BYTES]))
    if found is None:
        raise cut_off()
    kind, width, height, most = map(int, found.groups())
    if most not in (255, 65535):
        raise not_supported(f"a PNM whose largest value is {most}")
    if not width or not height:
        raise DamagedHeaderError(f"its header is damaged: {width}×{height} pixels")
    pixel = (3 if kind == 6 else 1) * (1 if most == 255 else 2)
    if found.end() + width * height * pixel > len(data):
        raise DamagedHeaderError("its data is cut off")
    return Header("pnm", height, width)

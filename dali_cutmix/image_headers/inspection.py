"""Inspect an encoded image before a decoder sees it."""

from collections.abc import Callable, Collection
from typing import Any, get_args

from dali_cutmix.image_headers import bmp, jpeg, jpeg2000, png, pnm, tiff, webp
from dali_cutmix.image_headers.header import DamagedHeaderError, Format, Header, NotSupportedError, not_supported

ALL_FORMATS: tuple[Format, ...] = get_args(Format)
FORMATS: tuple[Format, ...] = ("jpeg", "png", "webp", "bmp", "pnm")
"""Formats that are decoded by default."""

_OTHERS = {b"GIF8": "a GIF", b"%PDF": "a PDF", b"RIFF": "a RIFF file", b"II+\0": "a BigTIFF", b"MM\0+": "a BigTIFF"}
_BOXED = {b"avif": "an AVIF", b"avis": "an AVIF", b"heic": "a HEIC", b"mif1": "a HEIF", b"heix": "a HEIC"}


def inspect(encoded: Any, formats: Collection[str] = FORMATS, max_pixels: int | None = None) -> Header:
    """Read the header of an encoded image, and refuse what must not reach a decoder.

    Refused is what would not be decoded, or not as Pillow decodes it, or what could end the process, as far as the
    header tells. Damage of the pixels is for the decoder to find.

    Args:
        encoded: the whole file, bytes or a one-dimensional array of uint8.
        formats: names of the formats that may be decoded.
        max_pixels: width × height of the largest image that may be decoded; None without a limit.

    Raises:
        NotSupportedError: the image is of another format, or of a kind that DALI does not decode; or it is too large.
        DamagedHeaderError: the header is damaged or cut off, or it is no image.

    Example:
        >>> from dali_cutmix.image_headers import inspect
        >>> inspect(open("photos/cat/0.jpg", "rb").read())
        Header(format='jpeg', height=96, width=128, orientation=1, mended=None)
    """
    data = memoryview(encoded)
    is_jpeg = data[:2] == b"\xff\xd8"
    found, read = ("jpeg", jpeg.read_jpeg) if is_jpeg else _format(data)
    if found not in formats:
        raise NotSupportedError(
            f"{_NAMES[found]}, and {', '.join(formats)} are decoded here: allow it with formats=, or convert it with "
            "python -m dali_cutmix.pack"
        )
    header = read(data)
    if max_pixels is not None and header.width * header.height > max_pixels:
        raise NotSupportedError(f"{header.width}×{header.height} pixels, more than max_pixels={max_pixels}")
    return header


_NAMES = {"jpeg": "a JPEG", "png": "a PNG", "webp": "a WebP", "bmp": "a BMP", "pnm": "a PNM", "tiff": "a TIFF"}
_NAMES["jpeg2000"] = "a JPEG 2000"


def _format(data: memoryview) -> tuple[Format, Callable[[memoryview], Header]]:
    """Tell the format of a file that is no JPEG, with the function that reads its header."""
    start = bytes(data[:16])
    if start.startswith(png.SIGNATURE):
        return "png", png.read_png
    if webp.is_webp(start):
        return "webp", webp.read_webp
    if start.startswith(b"BM"):
        return "bmp", bmp.read_bmp
    if pnm.is_pnm(start):
        return "pnm", pnm.read_pnm
    if start.startswith(tiff.MARKS):
        return "tiff", tiff.read_tiff
    if start.startswith(jpeg2000.MARKS):
        return "jpeg2000", jpeg2000.read_jpeg2000
    if not start:
        raise DamagedHeaderError("the file is empty")
    for mark, what in _OTHERS.items():
        if start.startswith(mark):
            raise not_supported(what)
    if start[4:8] == b"ftyp" and start[8:12] in _BOXED:
        raise not_supported(_BOXED[start[8:12]])
    if start.startswith(b"<"):
        raise DamagedHeaderError("a page of text")
    raise DamagedHeaderError(f"not an image: it begins with {start!r}")


def check_formats(formats: Collection[str]) -> tuple[Format, ...]:
    """Refuse anything but names of formats, at least one.

    Returns:
        Each name once, in the order of ``ALL_FORMATS``.
    """
    if isinstance(formats, str) or not formats or not set(formats) <= set(ALL_FORMATS):
        raise ValueError(
            f"formats={formats!r} given; allowed is a tuple of {', '.join(map(repr, ALL_FORMATS))}; the default is "
            f"{FORMATS}."
        )
    return tuple(name for name in ALL_FORMATS if name in formats)

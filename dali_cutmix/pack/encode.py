"""Encode: one image file in, the bytes of a smaller JPEG out."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from dali_cutmix.image_headers import ALL_FORMATS, Header, HeaderError, inspect
from dali_cutmix.utils import MAX_BYTES, OF_PROCESS, read_regular

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def shrink(path: Path, short_side: int, quality: int) -> bytes:
    """Encode an image with its shorter side reduced to ``short_side`` pixels; a smaller image is not enlarged.

    The result is an upright RGB JPEG without metadata, antialiased (Lanczos), with 4:2:0 chroma as most cameras write
    it. An upright baseline JPEG in RGB or gray that is already small keeps its bytes if encoding it again would not
    make it smaller. What upright means is said by EXIF in the way of DALI, so that an image is turned here if and only
    if it is turned when its file is read; Pillow also knows orientations in XMP and in text of a PNG.

    Raises:
        Exception: whatever Pillow raises for a file that it cannot decode.
        OSError: it cannot be read, is no regular file, or has more than ``MAX_BYTES``.
        ValueError: the pixels have no fixed range.
    """
    content = read_regular(path, MAX_BYTES)
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.size
        small = min(width, height) <= short_side
        header = _header(content)
        turn = _turn(image, header)
        plain = (
            header is not None
            and image.format == "JPEG"
            and image.mode in ("RGB", "L")
            and "progressive" not in image.info
        )
        scale = 1 if small else short_side / min(width, height)
        size = round(width * scale), round(height * scale)
        # Decoding at a reduced size is faster; twice the wanted size is enough for the filter.
        image.draft(None, (2 * size[0], 2 * size[1]))
        reduced = _to_rgb(image).resize(size, Image.Resampling.LANCZOS)
    upright = reduced if turn is None else reduced.transpose(turn)
    encoded = io.BytesIO()
    upright.save(encoded, "JPEG", quality=quality, subsampling="4:2:0", comment=b"")
    keeps = small and turn is None and plain and len(content) <= encoded.tell()
    return content if keeps else encoded.getvalue()


def _header(content: bytes) -> Header | None:
    """The file's header; None for a file that a graph does not decode."""
    try:
        return inspect(content, ALL_FORMATS)
    except HeaderError:
        return None


def _turn(image: Image.Image, header: Header | None) -> Image.Transpose | None:
    """The turn that makes an image upright: DALI's, or that of Pillow for what DALI does not decode."""
    if image.format == "TIFF":  # Pillow turns these itself
        return None
    if header is not None:
        return _TURNS.get(header.orientation)
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged block, which decoders ignore
        return None


def _to_rgb(image: Image.Image) -> Image.Image:
    is_16_bit = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")
    if image.mode == "F" or (image.mode == "I" and not is_16_bit):
        raise ValueError(f"pixels of mode {image.mode} have no fixed range; convert it to 8 bits")
    if is_16_bit:
        high = (np.asarray(image) >> 8).astype(np.uint8)  # Pillow would clip at 255
        return Image.fromarray(high).convert("RGB")
    return image.convert("RGB")


def encode_all(paths: Sequence[Path], short_side: int, quality: int) -> list[bytes | str]:
    """Encode several images, see :func:`shrink`; an error message in place of each that cannot be."""
    return [_attempt(path, short_side, quality) for path in paths]


def _attempt(path: Path, short_side: int, quality: int) -> bytes | str:
    try:
        return shrink(path, short_side, quality)
    except MemoryError:  # not the file's fault
        raise
    except Exception as error:  # Pillow's decoders raise exceptions of any kind
        if isinstance(error, OSError) and error.errno in OF_PROCESS:
            raise
        return f"{path}: {_in_words(error)}"


def _in_words(error: Exception) -> str:
    """What is wrong with a file, without Pillow's objects and numbers of errors."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or in a format that Pillow does not read"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, (OSError, ValueError, Image.DecompressionBombError)) and str(error):
        return str(error)
    return f"its data is damaged ({type(error).__name__}: {error})"

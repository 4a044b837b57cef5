"""The headers of encoded images, read before a decoder sees them: format, size and orientation, or why not to decode.

    encoded bytes ──inspect──▶ Header(format, height, width, orientation, mended)
                        └────▶ NotSupportedError, DamagedHeaderError

A data set must not be able to end the process or to overwrite its memory, so whatever DALI's decoders misread is
refused here. One module for each format; ``exif`` reads the orientation as DALI does, ``jpeg_segments`` walks a JPEG.
"""

from dali_cutmix.image_headers.header import DamagedHeaderError, Format, Header, HeaderError, NotSupportedError
from dali_cutmix.image_headers.inspection import ALL_FORMATS, FORMATS, check_formats, inspect
from dali_cutmix.image_headers.jpeg_segments import START_OF_FRAME, segments

__all__ = [
    "ALL_FORMATS",
    "FORMATS",
    "START_OF_FRAME",
    "DamagedHeaderError",
    "Format",
    "Header",
    "HeaderError",
    "NotSupportedError",
    "check_formats",
    "inspect",
    "segments",
]

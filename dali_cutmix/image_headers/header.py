"""Header: what the first bytes of an encoded image say, and the errors for what they must not say."""

from typing import Literal, NamedTuple

Format = Literal["jpeg", "png", "webp", "bmp", "pnm", "tiff", "jpeg2000"]
"""An image format that can be decoded."""


class HeaderError(ValueError):
    """An image that must not reach a decoder; ``kind`` says why."""

    kind: Literal["damaged", "not supported"]


class DamagedHeaderError(HeaderError):
    """An image whose header is damaged or cut off, or something that is no image."""

    kind = "damaged"


class NotSupportedError(HeaderError):
    """An image that DALI decodes wrongly, or not at all, or that is not to be decoded here."""

    kind = "not supported"


class Header(NamedTuple):
    """Format, size and orientation of an image.

    Args:
        format: its format.
        height, width: size in pixels as the file has it.
        orientation: EXIF's number from 1 (upright) to 8, as DALI reads it.
        mended: the file in a form that DALI's decoders take; None where they take it as it is.
    """

    format: Format
    height: int
    width: int
    orientation: int = 1
    mended: bytes | None = None

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width after the turn that EXIF asks for, as DALI decodes the image."""
        return (self.width, self.height) if self.orientation > 4 else (self.height, self.width)


def not_supported(what: str) -> NotSupportedError:
    """Make the error for an image that is not supported, with the way out.

    Args:
        what: what it is, such as "an animated PNG".
    """
    return NotSupportedError(f"{what}, which is not supported here: convert it with python -m dali_cutmix.pack")


def cut_off() -> DamagedHeaderError:
    """Make the error for a header that ends too early."""
    return DamagedHeaderError("its header is damaged or cut off")

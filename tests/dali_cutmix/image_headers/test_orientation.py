"""An image is turned as its EXIF block says in the way of DALI; where DALI's decoders disagree, it is refused."""

import struct
import zlib

import numpy as np
import pytest

from dali_cutmix.image_headers import NotSupportedError, inspect
from tests.helpers.crafted_images import (
    NAME,
    PIXELS,
    XMP,
    app1,
    chunk,
    decoded,
    exif,
    jpeg,
    lossless,
    png,
    segment,
    webp,
)

SIX = exif(6)
RAW = b"\nexif\n%8d\n%b\n" % (len(SIX) + 6, (NAME + SIX).hex().encode())
TURNS = {
    **{f"JPEG, orientation {turn}": (jpeg(app1(exif(turn))), turn if 1 <= turn <= 8 else 1) for turn in range(10)},
    **{f"PNG, orientation {turn}": (png(chunk(b"eXIf", exif(turn))), turn) for turn in range(1, 9)},
    **{f"WebP, orientation {turn}": (webp((b"EXIF", exif(turn)), lossless(), flags=8), turn) for turn in range(1, 9)},
    "little-endian": (jpeg(app1(exif(6, "<"))), 6),
    "behind other entries": (jpeg(app1(exif(6, before=[(0x10F, 2, 3, 0), (0x8769, 4, 1, 8), (0x9999, 3, 1, 1)]))), 6),
    "LONG, little-endian": (jpeg(app1(exif(6, "<", 4))), 6),
    "LONG, big-endian": (jpeg(app1(exif(6, ">", 4))), 1),
    "BYTE": (jpeg(app1(exif(6, "<", 1))), 6),
    "no value at all": (jpeg(app1(exif(6, "<", 3, 0))), 6),
    "two entries": (jpeg(app1(exif(3, before=[(0x112, 3, 1, 6 << 16)]))), 6),
    "behind the frame": (jpeg(app1(SIX), at=0xC4), 6),
    "behind XMP": (jpeg(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP), app1(SIX)), 6),
    "two blocks that agree": (jpeg(app1(SIX), app1(SIX)), 6),
    "a name that is doubled": (jpeg(app1(NAME + SIX)), 1),
    "a name that is too short": (jpeg(segment(0xE1, b"Exif\0" + SIX)), 1),
    "in XMP alone": (jpeg(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)), 1),
    "another magic number": (jpeg(app1(SIX[:3] + b"+" + SIX[4:])), 1),
    "65,535 entries": (jpeg(app1(SIX[:8] + b"\xff\xff" + SIX[10:])), 1),
    "a text beyond the block": (jpeg(app1(exif(6, before=[(0x10F, 2, 5, 1 << 30)]))), 1),
    "a fraction beyond the block": (jpeg(app1(exif(6, before=[(0x11A, 5, 1, 99)]))), 1),
    "cut off behind the number": (jpeg(app1(SIX[:20])), 6),
    "cut off before the number": (jpeg(app1(SIX[:18])), 1),
    "an empty block": (jpeg(app1(b"")), 1),
    "PNG, behind the pixels": (png(behind=chunk(b"eXIf", SIX)), 6),
    "PNG, with JPEG's name": (png(chunk(b"eXIf", NAME + SIX)), 1),
    "PNG, in a raw profile": (png(chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(RAW))), 1),
    "PNG, in XMP alone": (png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)), 1),
    "WebP, without the flag": (webp((b"EXIF", SIX), lossless()), 1),
}
UPRIGHT = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: pixels[::-1].transpose(1, 0, 2),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: lambda pixels: pixels[:, ::-1].transpose(1, 0, 2),
}
"""What EXIF's standard asks for."""


@pytest.mark.parametrize("name", TURNS)
def test_the_orientation_is_the_one_that_dali_applies(name):
    encoded, turn = TURNS[name]
    header = inspect(encoded)
    assert header.orientation == turn
    (image,) = decoded([encoded])
    assert image.shape[:2] == header.upright
    plain = decoded([jpeg()])[0] if encoded.startswith(b"\xff\xd8") else PIXELS
    np.testing.assert_array_equal(image, UPRIGHT[turn](plain))


MANY = SIX[:8] + b"\xff\xff" + SIX[10:]
WRONG_SUM = chunk(b"eXIf", SIX)[:-1] + b"\0"
DISAGREE = {
    "two blocks": jpeg(app1(SIX), app1(exif(3))),
    "a block without an orientation": jpeg(
        app1(struct.pack(">4sIHHHIII", b"MM\0*", 8, 1, 0x128, 3, 1, 2, 0)), app1(SIX)
    ),
    "one of them without EXIF's name": jpeg(segment(0xE1, b"Exif\0\xff" + SIX)),
    "two of a PNG": png(chunk(b"eXIf", SIX) + chunk(b"eXIf", exif(3))),
    "two of a PNG, one of them behind the pixels": png(chunk(b"eXIf", SIX), chunk(b"eXIf", exif(1))),
}


@pytest.mark.parametrize("name", DISAGREE)
def test_orientations_that_disagree_are_refused(name):
    """One of DALI's decoders takes this and another that, which ends the process or delivers foreign memory."""
    with pytest.raises(
        NotSupportedError, match="an image whose EXIF blocks disagree about its orientation, which is not"
    ):
        inspect(DISAGREE[name])


@pytest.mark.parametrize(
    "encoded",
    [png(WRONG_SUM), png(chunk(b"eXIf", MANY)), webp((b"EXIF", MANY), lossless(), flags=8)],
    ids=["a wrong checksum of a PNG", "entries behind the end of a PNG's block", "entries behind the end of a WebP's"],
)
def test_a_damaged_block_that_only_one_decoder_applies_is_refused(encoded):
    """The size would be that of the turned image, and the pixels would not be turned, or the other way round."""
    with pytest.raises(ValueError, match="its EXIF block is damaged"):
        inspect(encoded)


def test_a_damaged_block_beside_one_that_turns_is_refused():
    """It ended the process: one decoder reads the first block as far as it can, the other one the second."""
    with pytest.raises(ValueError, match="one of its EXIF blocks is damaged"):
        inspect(jpeg(app1(MANY), app1(exif(3))))
    assert inspect(jpeg(app1(MANY), app1(exif(1)))).orientation == 1


def test_a_block_of_an_unknown_byte_order_is_refused():
    with pytest.raises(NotSupportedError, match="an image whose EXIF blocks disagree"):
        inspect(png(chunk(b"eXIf", b"\xff" + SIX[1:])))

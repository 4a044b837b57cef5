"""An image's size, read from its header, is that of the image which DALI decodes, and its pixels are Pillow's."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dali_cutmix.image_headers import ALL_FORMATS, FORMATS, inspect
from tests.helpers.crafted_images import ALPHA, HEIGHT, PIXELS, WIDTH, bmp, by_pillow, decoded, png, saved

GRAY = PIXELS[..., 0]
COLOURS = np.random.default_rng(0).integers(0, 256, (256, 4), np.uint8) & np.uint8([255, 255, 255, 0])
BGR = [row.tobytes() for row in PIXELS[..., ::-1]]
BGRX = [row.tobytes() for row in np.concatenate([PIXELS[..., ::-1], ALPHA[..., None]], -1)]


def packed(bits):
    """Rows of the upper bits of the gray picture."""
    rows = []
    for row in GRAY >> (8 - bits):
        digits = "".join(f"{value:0{bits}b}" for value in row)
        rows.append(int(digits + "0" * (-len(digits) % 8), 2).to_bytes(-(-len(digits) // 8)))
    return rows


def pnm(kind, most, pixels, comment=b""):
    return b"P%d\n%b%d %d\n%d\n" % (kind, comment, WIDTH, HEIGHT, most) + pixels.tobytes()


WIDE = (PIXELS.astype(np.uint16) * 257).astype(">u2")
FILES = {
    **{f"JPEG {mode}": saved("JPEG", mode, subsampling=0) for mode in ("L", "RGB", "CMYK")},
    "JPEG progressive": saved("JPEG", progressive=True),
    "JPEG 4:2:0": saved("JPEG", subsampling=2),
    "JPEG kept in RGB": saved("JPEG", keep_rgb=True),
    **{f"PNG {mode}": saved("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")},
    "PNG with a transparent colour": saved("PNG", transparency=(0, 0, 0)),
    "PNG with rubbish behind": png() + b"rubbish" * 3,
    "WebP": saved("WEBP", quality=90),
    "WebP lossless": saved("WEBP", lossless=True),
    "WebP with alpha": saved("WEBP", "RGBA", lossless=True, exact=True),
    "WebP lossy with alpha": saved("WEBP", "RGBA", quality=90, exact=True),
    "WebP with a profile": saved("WEBP", lossless=True, icc_profile=b"x" * 41),
    **{f"BMP {mode}": saved("BMP", mode) for mode in ("1", "L", "P", "RGB", "RGBA")},
    **{f"BMP {bits} bits": bmp(bits, packed(bits), COLOURS[: 1 << bits].tobytes()) for bits in (1, 4, 8)},
    "BMP top down": bmp(24, BGR, top_down=True),
    "BMP 32 bits": bmp(32, BGRX),
    "BMP with masks": bmp(32, BGRX, compression=3, size=56, masks=b"\0\0\xff\0\0\xff\0\0\xff\0\0\0"),
    "BMP version 4": bmp(24, BGR, size=108),
    "BMP version 5": bmp(24, BGR, size=124),
    "BMP of OS/2": bmp(24, BGR, size=12),
    "BMP of OS/2, 8 bits": bmp(8, packed(8), COLOURS[:, :3].tobytes(), size=12),
    "BMP with few colours": bmp(8, [row.tobytes() for row in GRAY >> 4], COLOURS[:16].tobytes()),
    "PGM": pnm(5, 255, GRAY),
    "PPM": pnm(6, 255, PIXELS, b"# a comment\n"),
    "PPM 16 bits": pnm(6, 65535, WIDE),
    **{f"TIFF {c}": saved("TIFF", compression=c) for c in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits")},
    "TIFF gray": saved("TIFF", "L"),
    "TIFF gray 16 bits": saved("TIFF", "I;16"),
    **{f"TIFF turned by {turn}": saved("TIFF", tiffinfo={0x112: turn}) for turn in range(1, 9)},
    "JPEG 2000": saved("JPEG2000"),
    "JPEG 2000, code alone": saved("JPEG2000", no_jp2=True),
}


@pytest.mark.parametrize("name", FILES)
def test_size_and_pixels_of_what_is_accepted(name):
    encoded = FILES[name]
    header = inspect(encoded, ALL_FORMATS, 10**6)
    (image,) = decoded([encoded])
    assert image.shape[:2] == header.upright
    assert np.abs(image.astype(int) - by_pillow(encoded)).max() <= 1
    assert header.mended is None


@pytest.mark.parametrize("name", FILES)
def test_a_format_that_is_not_allowed_is_refused(name):
    kind = inspect(FILES[name], ALL_FORMATS).format
    others = tuple(other for other in FORMATS if other != kind)
    with pytest.raises(ValueError, match="are decoded here: allow it with formats=, or convert it with python -m dali"):
        inspect(FILES[name], others)


MODES = {
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("RGB", "RGBA", "P", "LA"),
    "WEBP": ("RGB", "RGBA"),
    "BMP": ("RGB", "P"),
    "PPM": ("RGB", "L"),
}
SAVED = st.sampled_from([(kind, mode) for kind, modes in MODES.items() for mode in modes])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(SAVED, st.integers(1, 70), st.integers(1, 70), st.integers(0, 9)), min_size=20, max_size=20))
def test_size_of_any_picture_in_any_orientation(drawn):
    images = []
    for (kind, mode), width, height, turn in drawn:
        exif = Image.Exif()
        exif[0x0112], exif[0x010F] = turn, "a camera"
        options = {"exif": exif} if kind in ("JPEG", "PNG", "WEBP") else {}
        file = io.BytesIO()
        Image.new(mode, (width, height)).save(file, kind, **options)
        images.append(file.getvalue())
    headers = [inspect(image, FORMATS, 70 * 70) for image in images]
    shapes = decoded([header.mended or image for header, image in zip(headers, images, strict=True)])
    assert [shape.shape[:2] for shape in shapes] == [header.upright for header in headers]


def test_size_of_an_array():
    assert inspect(np.frombuffer(FILES["JPEG RGB"], np.uint8)).upright == (HEIGHT, WIDTH)

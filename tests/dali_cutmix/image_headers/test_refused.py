"""What must not reach a decoder is refused with a reason; and bytes between segments are no reason."""

import struct
import time
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dali_cutmix.image_headers import (
    ALL_FORMATS,
    FORMATS,
    DamagedHeaderError,
    HeaderError,
    NotSupportedError,
    check_formats,
    inspect,
)
from tests.helpers import tally
from tests.helpers.crafted_images import (
    ALPHA,
    HEIGHT,
    NAME,
    PIXELS,
    WIDTH,
    app1,
    bmp,
    by_pillow,
    chunk,
    decoded,
    exif,
    jpeg,
    lossless,
    png,
    saved,
    segment,
    webp,
)

BGR = [row.tobytes() for row in PIXELS[..., ::-1]]
BGRX = [row.tobytes() for row in np.concatenate([PIXELS[..., ::-1], ALPHA[..., None]], -1)]
ANIMATION = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, WIDTH, HEIGHT, 0, 0, 1, 1, 0, 0))
PLAIN = jpeg()
FRAME = PLAIN.index(b"\xff\xc0")


def with_frame(**changes):
    """A JPEG whose frame header has other bytes at some offsets."""
    changed = bytearray(PLAIN)
    for at, value in changes.items():
        changed[FRAME + int(at[1:])] = value
    return bytes(changed)


NOT_SUPPORTED = {
    "an animated PNG": png(chunk(b"acTL", struct.pack(">II", 2, 0)), ANIMATION + chunk(b"fdAT", b"")),
    "a PNG of 1000001×1 pixels": b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 1_000_001, 1, 8, 0, 0, 0, 0))
    + chunk(b"IEND", b""),
    "an animated WebP": saved("WEBP", save_all=True, append_images=[], lossless=True)[:12]
    + b"VP8X\x0a\0\0\0\x02\0\0\0\x10\0\0\x0c\0\0",
    "a GIF": saved("GIF", "P"),
    "an AVIF": b"\0\0\0\x1cftypavif\0\0\0\0",
    "a BigTIFF": b"II+\0\x08\0\0\0" + bytes(8),
    "a lossless JPEG": with_frame(_1=0xC3),
    "a hierarchical JPEG": with_frame(_1=0xC5),
    "a JPEG of 12 bits": with_frame(_4=12),
    "a JPEG of 2 components": with_frame(_9=2),
    "a JPEG whose height is behind its pixels": with_frame(_5=0, _6=0),
    "a compressed BMP (RLE)": bmp(8, [b"\1\0"] * HEIGHT, bytes(1024), compression=1),
    "a BMP of 16 bits": bmp(16, [bytes(2 * WIDTH)] * HEIGHT),
    "a BMP of 2 bits": bmp(2, [bytes(5)] * HEIGHT, bytes(16)),
    "a BMP of 4 bits with 17 colours": bmp(4, [bytes(9)] * HEIGHT, bytes(68)),
    "a BMP with its colours in another order": bmp(32, BGRX, compression=3, size=56, masks=b"\xff\0\0\0\0\xff" * 2),
    "a BMP whose header has 41 bytes": bmp(24, BGR, size=41),
    "a PNM that is not a binary": b"P3\n1 1\n255\n1 2 3\n",
    "a PNM whose largest value is 100": b"P6 1 1 100\n\1\2\3",
    "a TIFF of several images": saved("TIFF", save_all=True, append_images=[Image.new("L", (1, 1))]),
    "a TIFF of an unusual kind (samples, ": saved("TIFF", "LA"),
    "a TIFF of an unusual kind (bits of a sample)": saved("TIFF", "1"),
    "a TIFF of an unusual kind (bits of a sample, sample format)": saved("TIFF", "F"),
    "a JPEG 2000 that is not RGB of 8 bits": saved("JPEG2000", "L"),
}
DAMAGED = {
    "the file is empty": b"",
    "not an image: it begins with b'no picture'": b"no picture",
    "a page of text": b"<!DOCTYPE html>",
    "its EXIF block is damaged": jpeg(b"\xff\xe1\0\7" + NAME),
    "0 pixels wide": with_frame(_7=0, _8=0),
    "no valid size or colour": png().replace(struct.pack(">IB", HEIGHT, 8), struct.pack(">IB", HEIGHT, 3), 1),
    "0×13 pixels": bmp(24, BGR).replace(struct.pack("<ii", WIDTH, HEIGHT), struct.pack("<ii", 0, HEIGHT), 1),
    "its data is cut off": bmp(32, BGRX)[:-100],
    "its data is damaged or cut off": saved("JPEG2000")[:-2],
}


@pytest.mark.parametrize("reason", NOT_SUPPORTED)
def test_what_dali_does_not_decode_well_is_not_supported(reason):
    with pytest.raises(
        NotSupportedError, match="which is not supported here: convert it with python -m dali_cutmix"
    ) as e:
        inspect(NOT_SUPPORTED[reason], ALL_FORMATS)
    assert str(e.value).startswith(reason)
    assert e.value.kind == "not supported"


@pytest.mark.parametrize("reason", DAMAGED)
def test_a_damaged_header_is_named(reason):
    with pytest.raises(DamagedHeaderError) as caught:
        inspect(DAMAGED[reason], ALL_FORMATS)
    assert reason in str(caught.value)
    assert caught.value.kind == "damaged"


def test_the_numbers_in_a_tiff_take_no_memory():
    """A file of fifty bytes that said 2³² − 1 samples of a pixel took 34 GB."""
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in ((256, 10), (257, 10), (277, 2**24)))
    tracemalloc.start()
    with pytest.raises(NotSupportedError, match=r"a TIFF of an unusual kind \(samples, bits of a sample"):
        inspect(b"II*\0" + struct.pack("<IH", 8, 3) + tags + bytes(4), ALL_FORMATS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_a_header_that_is_cut_off_is_named():
    for encoded in (
        PLAIN[: FRAME + 4],
        PLAIN[:3],
        png()[:40],
        saved("WEBP")[:24],
        bmp(24, BGR)[:30],
        b"P6\n3",
        b"II*\0",
        saved("JPEG2000")[:130],
    ):
        with pytest.raises(DamagedHeaderError, match="its header is damaged or cut off"):
            inspect(encoded, ALL_FORMATS)


def test_max_pixels_is_the_largest_that_is_accepted():
    assert inspect(PLAIN, FORMATS, WIDTH * HEIGHT)
    with pytest.raises(NotSupportedError, match="17×13 pixels, more than max_pixels=220"):
        inspect(PLAIN, FORMATS, WIDTH * HEIGHT - 1)


STRAY = {
    "FF 00 00 00 before a table": jpeg(b"\xff\0\0\0", at=0xDB),
    "a zero before the frame": jpeg(b"\0", at=0xC0),
    "text before the frame": jpeg(b"hello", at=0xC0),
    "zeros before a Huffman table": jpeg(b"\0\0", at=0xC4),
    "FF 00 behind the start": jpeg(b"\xff\0"),
    "a restart marker": jpeg(b"\xff\xd0", at=0xC0),
    "a segment longer than it says": jpeg(b"\xff\xe5\0\4ab and more"),
}


@pytest.mark.parametrize("what", STRAY)
def test_stray_bytes_between_segments_do_no_harm(what):
    """Pillow takes these files, and DALI's decoders do not."""
    header = inspect(STRAY[what])
    assert header.upright == (HEIGHT, WIDTH)
    (image,) = decoded([header.mended])
    np.testing.assert_array_equal(image, by_pillow(STRAY[what]))
    assert inspect(header.mended).mended is None


def test_fill_bytes_before_a_marker_do_no_harm():
    header = inspect(jpeg(b"\xff\xff\xff", at=0xC0))
    assert header.upright == (HEIGHT, WIDTH)
    assert header.mended is None


@pytest.mark.parametrize("length", [0, 1])
def test_a_webp_whose_exif_stands_behind_an_odd_chunk_is_turned(length):
    profile = (b"ICCP", bytes(40 + length))
    encoded = webp(profile, lossless(), (b"EXIF", exif(6)), flags=0x28)
    header = inspect(encoded)
    assert header.upright == (WIDTH, HEIGHT)
    (image,) = decoded([header.mended or encoded])
    np.testing.assert_array_equal(image, np.rot90(PIXELS, -1))


def test_a_webp_that_announces_exif_and_has_none_is_decoded():
    header = inspect(webp(lossless(), flags=0x08))
    (image,) = decoded([header.mended])
    np.testing.assert_array_equal(image, PIXELS)


SEEDS = [
    jpeg(app1(exif(6)), segment(0xE2, bytes(30))),
    png(chunk(b"eXIf", exif(6))),
    webp(lossless(), (b"EXIF", exif(6)), flags=8),
    bmp(8, [bytes(WIDTH)] * HEIGHT, bytes(1024)),
    b"P6 3 2 255\n" + bytes(18),
    saved("TIFF", compression="tiff_lzw"),
    saved("JPEG2000"),
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 250), st.binary(max_size=6), st.integers(0, 6)), max_size=4),
)
def test_any_damage_is_refused_in_words_or_harmless(encoded, edits):
    for at, inserted, removed in edits:
        encoded = encoded[:at] + inserted + encoded[at + removed :]
    with suppress(HeaderError):
        height, width = inspect(encoded, ALL_FORMATS, 10**6).upright
        assert 0 < height * width <= 10**6
    tally.count("bad", 1)


@pytest.mark.parametrize(
    "start",
    [
        b"\xff\xd8" + b"\xff\xfe\0\2" * 2_000_000,
        b"\xff\xd8" + b"\xff" * 8_000_000,
        b"\xff\xd8" + b"\0" * 8_000_000,
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0))
        + chunk(b"abcd", b"") * 700_000,
        webp(flags=8) + b"abcd\0\0\0\0" * 1_000_000,
        b"P6 " + b" # " * 2_000_000,
        b"P6 " + b"1" * 8_000_000,
        jpeg(app1(b"MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\3" * 15_000)),
    ],
    ids=["segments", "fill bytes", "zeros", "PNG chunks", "WebP chunks", "comments", "digits", "EXIF entries"],
)
def test_megabytes_of_nothing_cost_little_time(start):
    begin = time.perf_counter()
    try:
        inspect(start)
    except HeaderError:
        tally.count("bad", 1)
    assert time.perf_counter() - begin < 5


def test_names_of_formats_are_checked():
    assert check_formats(["png", "jpeg"]) == ("jpeg", "png")
    for formats in ("jpeg", [], ["jpeg", "gif"]):
        with pytest.raises(ValueError, match="formats=.* given; allowed is a tuple of 'jpeg', 'png', 'webp', 'bmp'"):
            check_formats(formats)

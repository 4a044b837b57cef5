"""The chroma subsampling that a JPEG file's header gives, also where the header is damaged or cut off."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from dali_cutmix.gpu.nvjpeg_limits import chroma, not_on_gpu
from tests.helpers.encoded import OF_CUDA_12, picture


def with_factors(encoded, factors):
    """The file with other sampling factors written in its header."""
    at = encoded.index(b"\xff\xc0")
    changed = bytearray(encoded)
    for number, factor in enumerate(factors):
        changed[at + 11 + 3 * number] = factor
    return bytes(changed)


def with_segment(encoded, segment):
    return encoded[:2] + segment + encoded[2:]


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("name", ["4:4:4", "4:2:2", "4:2:0"])
def test_chroma_of_what_pillow_writes(name, progressive):
    assert chroma(picture(subsampling=name, progressive=progressive)) == name


def test_chroma_without_three_components():
    assert chroma(picture("L")) == "gray"
    assert chroma(picture("CMYK")) == "CMYK"


def test_chroma_of_an_array():
    encoded = np.frombuffer(picture(subsampling="4:2:0"), np.uint8)
    assert chroma(encoded) == "4:2:0"
    encoded.flags.writeable = False
    assert chroma(encoded) == "4:2:0"


def test_chroma_is_not_that_of_a_thumbnail():
    exif = Image.Exif()
    exif[0x010E] = "a picture"
    thumbnail = picture(subsampling="4:2:0")
    content = exif.tobytes() + thumbnail
    encoded = picture(subsampling="4:4:4", exif=content)
    assert thumbnail in encoded
    assert chroma(encoded) == "4:4:4"


def test_chroma_after_fill_bytes_and_long_segments():
    encoded = picture(subsampling="4:2:2")
    assert chroma(with_segment(encoded, b"\xff" * 7)) == "4:2:2"
    assert chroma(with_segment(encoded, b"\xff\xe2\xff\xff" + b"\xff\xc0\x00\x11" * 16383 + b"\0")) == "4:2:2"


def test_chroma_without_a_name_is_its_factors():
    assert chroma(with_factors(picture(), (0x31, 0x11, 0x11))) == "3x1/1x1/1x1"
    assert chroma(with_factors(picture(), (0x22, 0x21, 0x11))) == "2x2/2x1/1x1"


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\xff",
        b"\xff\xd8",
        b"\xff\xd8" + b"\xff" * 100_000,
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xe0\x00\x00" * 100,
        b"not a picture at all",
        picture(kind="PNG"),
        picture(kind="WebP"),
        with_factors(picture(), (0x00, 0x11, 0x11)),
        with_factors(picture(), (0x11, 0x01, 0x01)),
    ],
)
def test_no_chroma_where_there_is_no_whole_header(encoded):
    assert chroma(encoded) is None


def test_a_header_that_is_cut_off_anywhere_has_no_chroma():
    encoded = picture(subsampling="4:2:0", exif=Image.Exif())
    end = encoded.index(b"\xff\xc0") + 2 + 17
    assert chroma(encoded[:end]) == "4:2:0"
    assert {chroma(encoded[:length]) for length in range(end)} == {None}


@given(
    st.lists(st.integers(1, 4).flatmap(lambda a: st.integers(1, 4).map(lambda d: 16 * a + d)), min_size=3, max_size=3)
)
@example([0x22, 0x21, 0x21])
@example([0x44, 0x22, 0x22])
def test_chroma_is_what_dalis_decoder_takes_it_for(factors):
    nvimgcodec = pytest.importorskip("nvidia.nvimgcodec")
    encoded = with_factors(picture(), factors)
    known = {int(value): name for name, value in nvimgcodec.ChromaSubsampling.__members__.items()}
    theirs = known.get(int(nvimgcodec.CodeStream(encoded).chroma_subsampling))
    ours = chroma(encoded)
    assert ours == (
        "/".join(f"{f >> 4}x{f & 15}" for f in factors) if theirs is None else ":".join(theirs[4:7]) + theirs[7:]
    )


def damaged(encoded):
    """Changed, cut, doubled and inserted bytes within and behind the header."""
    place = st.integers(0, len(encoded) - 1)
    return st.one_of(
        st.lists(st.tuples(place, st.integers(0, 255)), max_size=30).map(lambda edits: changed(encoded, edits)),
        place.map(lambda length: encoded[:length]),
        st.tuples(place, st.binary(max_size=40)).map(lambda a: encoded[: a[0]] + a[1] + encoded[a[0] :]),
        st.binary(max_size=200).map(lambda tail: b"\xff\xd8\xff" + tail),
    )


def changed(encoded, edits):
    encoded = bytearray(encoded)
    for place, value in edits:
        encoded[place] = value
    return bytes(encoded)


@given(damaged(picture(subsampling="4:2:0", progressive=True)))
def test_damaged_headers_never_raise_and_never_loop(encoded):
    assert chroma(encoded) is None or isinstance(chroma(encoded), str)
    not_on_gpu([encoded], regions=True, fancy_upsampling=True, nvjpeg=OF_CUDA_12)

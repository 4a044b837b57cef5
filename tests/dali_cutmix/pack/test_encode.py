"""One image packed: as small as asked, upright, a plain JPEG, and never enlarged."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from dali_cutmix.pack import encode
from tests.helpers.images import save


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 427), (150, 100)),
        ((427, 640), (100, 150)),
        ((333, 333), (100, 100)),
        ((1000, 101), (990, 100)),
        ((101, 2000), (100, 1980)),
        ((100, 700), (100, 700)),
        ((60, 40), (60, 40)),
        ((1, 1), (1, 1)),
    ],
)
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_the_shorter_side_is_the_one_asked_for_and_nothing_is_enlarged(tmp_path, size, expected, suffix):
    path = tmp_path / f"a{suffix}"
    save(Image.new("RGB", size, (9, 99, 199)), path)
    assert Image.open(io.BytesIO(encode.shrink(path, 100, 90))).size == expected


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_small_plain_jpeg_keeps_its_bytes_unless_encoding_it_again_makes_them_fewer(tmp_path, photos, mode):
    save(Image.fromarray(photos[1][200:280, 200:320]).convert(mode), tmp_path / "a.jpg", quality=80)
    before = (tmp_path / "a.jpg").read_bytes()
    assert encode.shrink(tmp_path / "a.jpg", 80, 90) == before
    assert encode.shrink(tmp_path / "a.jpg", 79, 90) != before
    assert len(encode.shrink(tmp_path / "a.jpg", 80, 30)) < 0.7 * len(before)


def rotated():
    exif = Image.Exif()
    exif[0x0112] = 6
    return {"exif": exif}


SMALL = {
    "progressive": (".jpg", "RGB", lambda: {"progressive": True, "comment": b"by me"}),
    "CMYK": (".jpg", "CMYK", dict),
    "rotated": (".jpg", "RGB", rotated),
    "PNG": (".png", "RGB", dict),
    "transparent": (".png", "RGBA", dict),
    "palette": (".png", "P", dict),
    "WebP": (".webp", "RGB", dict),
}


@pytest.mark.parametrize("kind", SMALL)
def test_everything_else_becomes_an_upright_plain_jpeg(tmp_path, photos, kind):
    suffix, mode, options = SMALL[kind]
    path = tmp_path / f"a{suffix}"
    save(Image.fromarray(photos[0][:80, :120]).convert(mode), path, **options())
    small = Image.open(io.BytesIO(encode.shrink(path, 100, 95)))
    assert (small.format, small.mode) == ("JPEG", "RGB")
    assert small.size == ((80, 120) if kind == "rotated" else (120, 80))
    assert not {"progressive", "exif", "comment", "icc_profile"} & set(small.info)
    assert [layer[1:3] for layer in small.layer] == [(2, 2), (1, 1), (1, 1)], "4:2:0"
    expected = np.asarray(Image.open(path).convert("RGB").convert("L"), np.float32)
    if kind == "rotated":
        expected = np.rot90(expected, -1)
    assert np.abs(np.asarray(small.convert("L"), np.float32) - expected).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_every_orientation_is_turned_upright(tmp_path, photos, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    save(Image.fromarray(photos[1][:200, :300]), path, exif=exif)
    with Image.open(path) as image:
        expected = ImageOps.exif_transpose(image).convert("L")
    small = Image.open(io.BytesIO(encode.shrink(path, 100, 100))).convert("L")
    assert small.size == tuple(side // 2 for side in expected.size)
    expected = expected.resize(small.size, Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(small, np.float32) - np.asarray(expected, np.float32)).mean() < 3


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_damaged_exif_block_is_passed_over_as_decoders_do(tmp_path, photos):
    """Whatever two bytes of it are: what Pillow makes of some raises errors of many kinds."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x8769] = 6, "a picture", {0x9003: "2020:01:01 00:00:00"}
    save(Image.fromarray(photos[0][:80, :120]), tmp_path / "a.jpg", exif=exif)
    content = bytearray((tmp_path / "a.jpg").read_bytes())
    start, length = content.index(b"Exif"), int.from_bytes(content[4:6], "big")
    random = np.random.default_rng(0)
    for _ in range(150):
        damaged = content.copy()
        for at in random.integers(start + 6, start + length - 2, 2):
            damaged[at] = random.integers(256)
        (tmp_path / "b.jpg").write_bytes(damaged)
        small = Image.open(io.BytesIO(encode.shrink(tmp_path / "b.jpg", 40, 90)))
        assert sorted(small.size) == [40, 60]


@pytest.mark.parametrize("short_side", [200, 100, 40])
def test_decoding_at_a_smaller_size_first_is_hardly_seen(tmp_path, photos, short_side):
    save(photos[1], tmp_path / "a.jpg")
    size = round(640 * short_side / 427), short_side
    slow = Image.open(tmp_path / "a.jpg").resize(size, Image.Resampling.LANCZOS).convert("L")
    fast = Image.open(io.BytesIO(encode.shrink(tmp_path / "a.jpg", short_side, 100))).convert("L")
    assert np.abs(np.asarray(fast, np.float32) - np.asarray(slow, np.float32)).mean() < 1.5


@pytest.mark.parametrize("suffix", [".png", ".pgm"])
def test_sixteen_bits_become_eight(tmp_path, suffix):
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    path = tmp_path / f"a{suffix}"
    Image.fromarray(ramp).save(path)
    small = np.asarray(Image.open(io.BytesIO(encode.shrink(path, 100, 100))), int)
    assert np.abs(small[..., 0] - (ramp >> 8)).max() <= 3


def test_pixels_without_a_range_are_refused(tmp_path):
    Image.fromarray(np.ones((8, 8), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="pixels of mode F have no fixed range; convert it to 8 bits"):
        encode.shrink(tmp_path / "a.tif", 100, 90)

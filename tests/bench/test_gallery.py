"""python -m bench gallery: a picture of each policy's images."""

import numpy as np
import pytest
from PIL import Image

from bench.__main__ import main
from bench.common.photos import make_sample_photos, open_photos
from bench.gallery import DPI, INCHES, POLICIES, draw, mixed_batches


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return open_photos(make_sample_photos(tmp_path_factory.mktemp("gallery") / "photos", images=12))


def pictures(photos, mix, seed=0):
    batches = mixed_batches(photos.root, photos.classes, POLICIES[mix], rows=3, columns=4, size=48, seed=seed)
    assert [len(batch) for batch in batches] == [4, 4, 4]
    return batches


@pytest.mark.parametrize("mix", list(POLICIES))
def test_command_writes_a_sheet(photos, tmp_path, mix, capsys):
    out = tmp_path / "new" / "sheet.png"
    arguments = ["gallery", "--data", str(photos.root), "--out", str(out), "--mix", mix, "--size", "48"]
    assert main([*arguments, "--rows", "2", "--columns", "3"]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    with Image.open(out) as image:
        assert image.format == "PNG"
        assert image.width == round(3 * INCHES * DPI)
        assert image.height > 2 * INCHES * DPI


def test_shares_are_the_area_of_the_box(photos):
    for batch in pictures(photos, "cutmix"):
        assert len({picture.box for picture in batch}) == 1
        for picture in batch:
            x1, y1, x2, y2 = picture.box
            inside = (x2 - x1) * (y2 - y1) / 48**2
            assert sum(picture.weights.values()) == pytest.approx(1)
            if len(picture.weights) == 2:
                assert list(picture.weights.values()) == pytest.approx([1 - inside, inside], abs=1e-6)


def test_same_seed_same_sheet(photos):
    one, two, other = (pictures(photos, "cutmix", seed) for seed in (1, 1, 2))
    same = [
        np.array_equal(a.pixels, b.pixels) for x, y in zip(one, two, strict=True) for a, b in zip(x, y, strict=True)
    ]
    assert all(same)
    assert [p.box for p in one[0]] != [p.box for p in other[0]]


def test_box_is_outlined(photos, tmp_path):
    batch = pictures(photos, "cutmix")[0][:1]
    draw([batch], tmp_path / "box.png")
    with Image.open(tmp_path / "box.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    yellow = (pixels[..., 0] > 240) & (pixels[..., 1] > 240) & (pixels[..., 2] < 15)
    assert yellow.any()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--rows", "0"], "--rows 0 given"),
        (["--columns", "1"], "--columns 1 given; it is a whole number of at least 2"),
        (["--columns", "50"], "holds 12 images"),
        (["--out", "sheet.jpg"], "--out sheet.jpg given; it is a PNG file"),
        (["--data", "/no/such/folder"], "/no/such/folder: no such folder"),
        (["--data", "/no/\x1b[31m"], "/no/\\x1b[31m: no such folder"),
    ],
    ids=lambda value: repr(value),
)
def test_bad_input_is_refused(photos, capsys, arguments, says):
    given = [] if "--data" in arguments else ["--data", str(photos.root)]
    assert main(["gallery", *given, *arguments]) == 2
    assert says in capsys.readouterr().err

"""python -m pipelines.ood: small out-of-distribution sets by cropping or resizing."""

import numpy as np
import pytest
from PIL import Image

from pipelines.ood import main
from tests.helpers.images import save


@pytest.fixture
def source(tmp_path, photos):
    """Seven photographs in two folders, of several sizes."""
    for i in range(7):
        save(photos[i % 2][: 100 + 20 * i, : 180 - 10 * i], tmp_path / "src" / "ab"[i % 2] / f"{i}.png")
    return tmp_path / "src"


def pixels_of(folder):
    return [np.asarray(Image.open(path)) for path in sorted(folder.iterdir())]


def test_a_resized_set_is_the_whole_images_scaled(source, tmp_path):
    assert main([str(source), str(tmp_path / "out"), "--how=resize"]) == 0
    made = pixels_of(tmp_path / "out")
    assert len(made) == 7
    for image, path in zip(made, sorted(source.rglob("*.png")), strict=True):
        expected = Image.open(path).resize((32, 32), Image.Resampling.BILINEAR)
        assert image.shape == (32, 32, 3)
        difference = np.abs(image[2:-2, 2:-2].astype(int) - np.asarray(expected)[2:-2, 2:-2])
        assert difference.mean() < 1


def test_a_cropped_set_is_cut_out_of_the_images_at_random_places(source, tmp_path):
    def found(seed):
        out = tmp_path / f"out{seed}"
        assert main([str(source), str(out), "--how=crop", "--size=24", f"--seed={seed}"]) == 0
        places = []
        for image, path in zip(pixels_of(out), sorted(source.rglob("*.png")), strict=True):
            windows = np.lib.stride_tricks.sliding_window_view(np.asarray(Image.open(path)), (24, 24, 3))[:, :, 0]
            match = np.argwhere((windows == image).all(axis=(2, 3, 4)))
            assert len(match), f"{path} holds no such square"
            places.append(tuple(match[0]))
        return places

    first, other = found(0), found(1)
    assert first != other
    assert len(set(first)) > 1


def test_of_many_images_some_are_chosen_the_same_for_both_ways(source, tmp_path):
    for how in ("crop", "resize"):
        assert main([str(source), str(tmp_path / how), f"--how={how}", "--images=3", "--seed=5"]) == 0
        assert len(pixels_of(tmp_path / how)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nowhere", "{out}"], "/nowhere: no such folder; give a folder with images"),
        (["{empty}", "{out}"], "no image in it; give a folder with images"),
        (["{src}", "{src}"], "it is not empty. Give a new folder"),
        (["{src}", "{out}", "--size=0"], "--size 0 given; allowed is a whole number of at least 1"),
        (["{src}", "{out}", "--images=0"], "--images 0 given"),
        (["{src}", "{out}", "--size=110"], "0.png: 180×100 pixels, too small to crop 110×110 from"),
    ],
)
def test_what_is_refused(source, tmp_path, capsys, arguments, message):
    (tmp_path / "empty").mkdir()
    places = {"src": source, "out": tmp_path / "out", "empty": tmp_path / "empty"}
    assert main([*(argument.format(**places) for argument in arguments), "--how=crop"]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_bad_image_is_named(source, tmp_path, capsys):
    (source / "b" / "1.png").write_text("no picture")
    assert main([str(source), str(tmp_path / "out"), "--how=resize"]) == 1
    assert "b/1.png (not an image: it begins with b'no picture')" in capsys.readouterr().err

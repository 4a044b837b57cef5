"""The embedded digits: the same bytes each time, no digit in both splits, boxes around the digits."""

import csv
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from dali_cutmix.utils.cache import cache_folder
from train.data import digits as module
from train.data.digits import COLUMNS, Digits, digits, split

SMALL = Digits(train_scenes=1, val_scenes=1, scene=(48, 64), val_share=0.5)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return digits(tmp_path_factory.mktemp("digits"), SMALL)


@pytest.fixture(scope="module")
def rows(root):
    with (root / "boxes.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.*"))}


def test_every_scene_is_a_jpeg_in_its_class_folder_and_in_the_table(root, rows):
    assert tuple(rows[0]) == COLUMNS
    assert {row["path"] for row in rows} == content(root).keys() - {"boxes.csv"}
    assert len(rows) == 1797
    for row in rows[::50]:
        assert row["path"].startswith(f"{row['split']}/{row['label']}/")
        with Image.open(root / row["path"]) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            assert image.size == (int(row["width"]), int(row["height"]))
            assert 48 <= image.width == image.height <= 64
    assert {path.name for path in (root / "train").iterdir()} == set("0123456789")


def test_labels_are_scikit_learns(rows):
    truth = load_digits().target
    assert all(truth[int(row["digit"])] == int(row["label"]) for row in rows)


def test_no_digit_is_in_both_splits(rows):
    train, val = ({row["digit"] for row in rows if row["split"] == name} for name in ("train", "val"))
    assert not train & val
    assert len(train | val) == 1797


def test_the_default_split_holds_out_a_fifth_of_each_class():
    labels = load_digits().target
    parts = split(labels, Digits())
    assert sorted([*parts["train"], *parts["val"]]) == list(range(1797))
    for label in range(10):
        share = np.mean(np.isin(np.flatnonzero(labels == label), parts["val"]))
        assert share == pytest.approx(0.2, abs=0.003)


def test_boxes_lie_in_the_scene_and_hold_the_digit(root, rows):
    """Scenes differ from the photograph behind them inside the box, and hardly outside."""
    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    for row in rows[::40]:
        background = module._background(photos, np.random.default_rng([SMALL.seed, int(row["digit"]), 0]), SMALL)
        with Image.open(root / row["path"]) as scene:
            change = np.abs(np.asarray(scene) - background).max(2)
        x1, y1, x2, y2 = (int(row[name]) for name in ("x1", "y1", "x2", "y2"))
        assert 0 <= x1 < x2 <= int(row["width"])
        assert 0 <= y1 < y2 <= int(row["height"])
        inside = change[y1:y2, x1:x2].copy()
        change[max(y1 - 3, 0) : y2 + 3, max(x1 - 3, 0) : x2 + 3] = 0  # strokes end softly
        assert inside.max() > 60
        assert inside.mean() > 8 * change.mean()


def test_the_same_bytes_each_time(root, tmp_path):
    assert content(digits(tmp_path, SMALL)) == content(root)


def test_other_parameters_get_another_folder(root):
    assert Digits(train_scenes=1, val_scenes=1, scene=(48, 64), val_share=0.5).digest in root.name
    assert Digits(seed=1).digest != Digits().digest


def test_it_is_built_once(root, monkeypatch):
    monkeypatch.setattr(module, "_build", lambda *_: pytest.fail("built again"))
    assert digits(root.parent, SMALL) == root


def test_a_build_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(root, _):
        (root / "half").write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_build", fail)
    with pytest.raises(OSError, match="No space left"):
        digits(tmp_path, SMALL)
    assert list(tmp_path.iterdir()) == []


def test_two_processes_may_build_at_once(root, tmp_path):
    few = Digits(train_scenes=1, val_scenes=1, scene=(32, 32))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.starmap(digits, [(tmp_path, few)] * 2)
    assert first == second
    assert [path.name for path in tmp_path.iterdir()] == [first.name]
    assert len(content(first)) == 1798


def test_the_cache_is_where_the_desktop_standard_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "dali_cutmix"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "dali_cutmix"

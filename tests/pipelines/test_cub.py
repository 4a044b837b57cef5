"""CUB-200-2011 in its own layout: samples, labels, boxes, batches, and what is refused."""

import re
from functools import partial

import numpy as np
import pytest
from PIL import Image

import dali_cutmix as dc
from pipelines import cub, imagenet
from tests.helpers.boxed_images import edit, make_cub


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_cub(tmp_path_factory.mktemp("CUB_200_2011"))


def test_the_lists_say_which_image_is_what(root):
    lists = cub.read_lists(root)
    assert lists.classes == ("001.Bright_bird", "002.Middle_bird", "004.Pale_bird")
    assert len(lists.birds) == 18
    assert [bird.label for bird in lists.birds] == [0] * 6 + [1] * 6 + [2] * 6
    train, val = lists.split("train"), lists.split("val")
    assert len(train) == len(val) == 9
    assert {bird.path for bird in train}.isdisjoint(bird.path for bird in val)
    for bird in lists.birds:
        with Image.open(bird.path) as image:
            pixels = np.asarray(image.convert("L")) > 40
        x1, y1, x2, y2 = map(int, bird.box)
        assert pixels[y1:y2, x1:x2].mean() > 0.95
        assert pixels.sum() < 1.1 * (x2 - x1) * (y2 - y1)


def test_it_is_told_from_a_folder_of_classes(root, colour_folder):
    assert cub.is_cub(root)
    assert not cub.is_cub(colour_folder)
    assert not cub.is_cub(root / "images")


def test_training_and_validation_see_their_own_parts(root):
    loader = cub.train(root, batch_size=9, size=24, resize=32, mix=None, device="cpu", num_threads=1)
    assert (loader.classes, loader.num_classes, len(loader)) == (cub.read_lists(root).classes, 3, 1)
    images, targets = next(iter(loader))
    assert tuple(images.shape) == (9, 3, 24, 24)
    assert targets.sum(0).tolist() == [3, 3, 3]
    val = imagenet.val(partial(cub.read, root, "val"), size=24, resize=32, stretch=True, device="cpu", num_threads=1)
    assert [label for _, labels in val for label in labels.tolist()] == [0] * 3 + [1] * 3 + [2] * 3


def test_any_folder_of_classes_or_verb_trains_as_well(colour_folder):
    for source in (colour_folder, str(colour_folder), [colour_folder], partial(dc.read_folder, colour_folder)):
        loader = cub.train(source, batch_size=25, size=16, resize=20, device="cpu", num_threads=1)
        images, targets = next(iter(loader))
        assert (images.shape, targets.shape) == ((25, 3, 16, 16), (25, 12))


def test_normalization_is_what_is_asked(colour_folder, colours):
    source = partial(dc.read_folder, colour_folder)
    loader = cub.train(
        source, batch_size=50, size=8, resize=8, mix=None, device="cpu", mean=(10, 20, 30), std=(2, 4, 8), num_threads=1
    )
    images, targets = next(iter(loader))
    expected = (colours[targets.argmax(1).numpy()] - np.array([10, 20, 30])) / np.array([2, 4, 8])
    np.testing.assert_allclose(images.mean((2, 3)).numpy(), expected, atol=2)


@pytest.mark.parametrize("split", ["test", "", None])
def test_another_part_is_refused(root, split):
    with pytest.raises(ValueError, match="allowed are 'train' and 'val'"):
        cub.read_lists(root).split(split)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("images.txt", "3 001", "three 001", r"images.txt, line 3: 'three 001.*'; expected a number and a text"),
        (
            "images.txt",
            "18 004",
            "19 004",
            r"image_class_labels.txt: it and images.txt do not list the same .*number 18",
        ),
        ("bounding_boxes.txt", "\n2 ", "\n77 ", r"bounding_boxes.txt: it and images.txt do not list .*number 2\)"),
        (
            "image_class_labels.txt",
            "7 2",
            "7 9",
            r"image_class_labels.txt: image 7 is of class 9, which is not in classes.txt",
        ),
        ("image_class_labels.txt", "7 2", "7 x", r"image_class_labels.txt: image 7 has 'x'; expected 1 number"),
        (
            "train_test_split.txt",
            "5 0",
            "5 2",
            r"train_test_split.txt: image 5 has 2; expected 1 for training, or 0 fo",
        ),
        ("train_test_split.txt", "5 0", "5 -1", r"train_test_split.txt: image 5 has -1; expected 1 for training"),
        ("train_test_split.txt", "5 0", "5 nan", r"train_test_split.txt: image 5 has nan; expected 1 for training"),
        ("train_test_split.txt", "5 0", "5 0 1", r"train_test_split.txt: image 5 has '0 1'; expected 1 number"),
    ],
)
def test_lists_that_do_not_fit_are_named(tmp_path, name, old, new, message):
    make_cub(tmp_path)
    edit(tmp_path / name, old, new)
    with pytest.raises(ValueError, match=message):
        cub.read_lists(tmp_path)


@pytest.mark.parametrize(("split", "other"), [("train", 0), ("val", 1)])
def test_a_part_without_images_is_named(tmp_path, split, other):
    make_cub(tmp_path)
    lines = "".join(f"{number} {other}\n" for number in range(1, 19))
    (tmp_path / "train_test_split.txt").write_text(lines)
    told = f"{tmp_path}: no images for split='{split}'; train_test_split.txt must name at least one"
    with pytest.raises(ValueError, match=re.escape(told)):
        imagenet.val(partial(cub.read, tmp_path, split), device="cpu")


def test_a_missing_list_is_named(tmp_path):
    make_cub(tmp_path)
    (tmp_path / "bounding_boxes.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"bounding_boxes.txt: no such file; expected the folder CUB_200_2011"):
        cub.read_lists(tmp_path)

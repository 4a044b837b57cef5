"""COCO in its own layout: images, classes, boxes, captions, and what is refused."""

import json

import numpy as np
import pytest

from pipelines import captions, coco, ssd
from tests.helpers.voc_and_coco import caption_content, coco_content, write_coco

NULL = object()


@pytest.fixture
def root(tmp_path):
    write_coco(tmp_path, "train2017", coco_content())
    write_coco(tmp_path, "val2017", coco_content())
    write_coco(tmp_path, "train2017", caption_content(), "captions")
    return tmp_path


def change(root, where, value, kind="instances"):
    """Change one value of the training annotations; ``where`` leads to it; None takes it away, NULL is JSON's."""
    file = root / "annotations" / f"{kind}_train2017.json"
    content = json.loads(file.read_text())
    *path, last = where
    place = content
    for key in path:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = None if value is NULL else value
    file.write_text(json.dumps(content))


@pytest.mark.parametrize("split", ["train", "val"])
def test_images_come_in_the_order_of_the_file_with_their_objects(root, split):
    annotated = coco.read(root, split)
    assert [path.relative_to(root) for path in annotated.paths] == [
        (root / f"{split}2017" / f"{number:012d}.jpg").relative_to(root) for number in (9, 25, 30)
    ]
    assert annotated.sizes.tolist() == [[40, 69], [40, 85], [40, 90]]
    assert [labels.tolist() for labels in annotated.labels] == [[0], [1, 0], []]
    assert annotated.boxes[1].tolist() == [[1.5, 2.25, 11.5, 22.75], [30, 10, 35, 16]]
    assert annotated.boxes[0].tolist() == [[0, 0, 69, 40]]  # its corner, 69.01, was rounded
    assert annotated.boxes[2].shape == (0, 4)
    assert [difficult.tolist() for difficult in annotated.difficult] == [[False], [False, True], []]


def test_classes_are_in_the_order_of_their_ids(root):
    assert coco.read(root, "train").classes == ("car", "dog")


def test_images_without_objects_are_not_trained_on_and_crowds_are_not_either(root):
    annotated = coco.read(root, "train")
    trained = annotated.for_training()
    assert [path.stem[-2:] for path in trained.paths] == ["09", "25"]
    assert [labels.tolist() for labels in trained.labels] == [[0], [1]]
    assert len(coco.read(root, "val")) == 3
    loader = ssd.train(annotated, batch_size=2, size=32, device="cpu", num_threads=1)
    assert (loader.classes, loader.num_samples) == (("car", "dog"), 2)


@pytest.mark.parametrize("name", ["train2014", "train", "train1999"])
def test_any_year_is_found(tmp_path, name):
    write_coco(tmp_path, name, coco_content())
    assert coco.read(tmp_path, "train").paths[0].parent.name == name


def test_of_several_years_the_one_whose_images_are_there_is_read(root):
    (root / "annotations" / "instances_train2014.json").write_text("{}")
    assert len(coco.read(root, "train")) == 3
    (root / "train2014").mkdir()
    with pytest.raises(
        ValueError, match=r"instances_train2014.json and instances_train2017.json; expected .*Keep only one"
    ):
        coco.read(root, "train")


def test_an_object_that_says_itself_that_it_has_no_area_is_left_out(root):
    """Two of COCO's own training images have one: annotations 918 and 2206849."""
    change(root, ["annotations", 0, "bbox"], [9.98, 188.56, 5.54, 0.0])
    change(root, ["annotations", 0, "area"], 0.0)
    assert coco.read(root, "train").labels[1].tolist() == [0]


def test_whole_numbers_and_truth_may_be_written_otherwise(root):
    change(root, ["images", 1, "height"], 40.0)
    change(root, ["annotations", 0, "iscrowd"], True)
    change(root, ["annotations", 2, "iscrowd"], False)
    annotated = coco.read(root, "train")
    assert annotated.sizes[1].tolist() == [40, 85]
    assert annotated.difficult[1].tolist() == [True, False]


def test_captions_come_with_their_images(root):
    captioned = coco.read_captions(root, "train")
    assert [path.name[-6:] for path in captioned.paths] == ["09.jpg", "30.jpg"]
    assert captioned.sentences == (("A car",), ("A dog.", "A brown dog"))
    loader = captions.train(captioned, lambda s: [len(s)], batch_size=3, size=8, resize=9, device="cpu", num_threads=1)
    assert next(iter(loader))[1].sort(0).values.tolist() == [[5], [6], [11]]


def test_a_folder_of_coco_is_told_from_others(root, colour_folder):
    assert coco.is_coco(root)
    assert not coco.is_coco(colour_folder)
    assert not coco.is_coco(root / "annotations")


@pytest.mark.parametrize("read", [coco.read, coco.read_captions])
@pytest.mark.parametrize("split", ["test", "train2017", None])
def test_another_part_is_refused(root, read, split):
    with pytest.raises(ValueError, match="allowed are 'train' and 'val'"):
        read(root, split)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (["annotations", 2, "bbox"], [3, 4, 0, 5], r"annotation 102: its box, bbox=\[3, 4, 0, 5\], has no area"),
        (["annotations", 2, "bbox"], [3, 4, 5, -1], r"annotation 102: its box, bbox=\[3, 4, 5, -1\], has no area"),
        (["annotations", 2, "bbox"], [81, 4, 6, 5], r"annotation 102: its box, .* extends past .* 85×40 pixels"),
        (["annotations", 2, "bbox"], [-2, 4, 6, 5], r"annotation 102: its box, .* extends past the image"),
        (["annotations", 2, "bbox"], [85, 4, 0.5, 5], r"annotation 102: its box, .* extends past the image"),
        (["annotations", 2, "bbox"], [3, 4, 5], r"annotation 102: bbox=\[3, 4, 5\]; expected \[x, y, width, height\]"),
        (["annotations", 2, "bbox"], "3 4 5 6", r"annotation 102: bbox='3 4 5 6'; expected"),
        (["annotations", 2, "bbox"], None, r"annotation 102: it has no 'bbox'; expected an entry in COCO's format"),
        (
            ["annotations", 2, "category_id"],
            77,
            r"annotation 102: category_id=77, which is not in categories \(2 classes\)",
        ),
        (["annotations", 2, "image_id"], 77, r"annotation 102: image_id=77, which is not in images"),
        (["annotations", 2, "image_id"], None, r"annotation 102: it has no 'image_id'"),
        (["annotations", 2], 5, r"annotation number 2: it has no 'image_id'"),
        (["images", 1, "width"], 84, r"image 25: it says 84×40 pixels .*000025.jpg has 85×40 pixels"),
        (["images", 1, "height"], None, r"image 25: it has no 'height'"),
        (["images", 1, "id"], None, r"instances_train2017.json, images, entry 1: it has no 'id'"),
        (["categories", 1, "name"], None, r"category 3: it has no 'name'"),
        (
            ["categories"],
            None,
            r"instances_train2017.json: it has no list 'categories'; expected a file in COCO's format",
        ),
        (["annotations"], {}, r"instances_train2017.json: it has no list 'annotations'"),
        (["images"], [], r"annotation 100: image_id=25, which is not in images"),
        (["images", 1, "id"], 9, r"instances_train2017.json, images, entry 1: id=9 appears twice"),
        (["categories", 1, "id"], 18, r"instances_train2017.json, categories, entry 1: id=18 appears twice"),
        (["images", 1, "id"], "25", r"images, entry 1: id='25'; expected a whole number"),
        (["images", 1, "id"], [25], r"images, entry 1: id=\[25\]; expected a whole number"),
        (["categories", 1, "id"], "3", r"categories, entry 1: id='3'; expected a whole number"),
        (["images", 1, "height"], NULL, r"image 25: height=None; expected a whole number"),
        (["images", 1, "height"], "tall", r"image 25: height='tall'; expected a whole number"),
        (["images", 1, "width"], 84.5, r"image 25: width=84.5; expected a whole number"),
        (["images", 1, "width"], float("nan"), r"image 25: width=nan; expected a whole number"),
        (["images", 1, "file_name"], NULL, r"image 25: file_name=None; expected text"),
        (["images", 1, "file_name"], 25, r"image 25: file_name=25; expected text"),
        (["categories", 1, "name"], NULL, r"category 3: name=None; expected text"),
        (["categories", 1, "name"], 7, r"category 3: name=7; expected text"),
        (["annotations", 2, "image_id"], [25], r"annotation 102: image_id=\[25\]; expected a whole number"),
        (["annotations", 2, "category_id"], {}, r"annotation 102: category_id={}; expected a whole number"),
        (["annotations", 2, "iscrowd"], "0", r"annotation 102: iscrowd='0'; expected a whole number"),
        (["annotations", 2, "bbox"], [3, 4, 10**400, 6], r"annotation 102: bbox=.*; expected \[x, y, width, height\]"),
        (["annotations", 2, "bbox"], [3, 4, float("nan"), 6], r"annotation 102: bbox=\[3, 4, nan, 6\]; expected"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(root, where, value, message):
    change(root, where, value)
    with pytest.raises(ValueError, match=message):
        coco.read(root, "train")


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (["annotations", 1, "caption"], " \n", r"captions_train2017.json, annotation 1: its caption is empty"),
        (["annotations", 1, "caption"], None, r"annotation 1: it has no 'caption'"),
        (["annotations", 1, "image_id"], 3, r"annotation 1: image_id=3, which is not in images"),
        (["annotations"], [], r"captions_train2017.json: no captions in it"),
        (["annotations", 1, "caption"], NULL, r"captions_train2017.json, annotation 1: caption=None; expected text"),
        (["annotations", 1, "caption"], 5, r"captions_train2017.json, annotation 1: caption=5; expected text"),
        (["annotations", 1, "image_id"], "9", r"annotation 1: image_id='9'; expected a whole number"),
        (["images", 1, "id"], 9, r"captions_train2017.json, images, entry 1: id=9 appears twice"),
        (["images", 0, "file_name"], 9, r"captions_train2017.json, image 9: file_name=9; expected text"),
    ],
)
def test_what_is_wrong_with_captions_is_named(root, where, value, message):
    change(root, where, value, "captions")
    with pytest.raises(ValueError, match=message):
        coco.read_captions(root, "train")


def test_a_file_that_is_no_json_is_named(root):
    file = root / "annotations" / "instances_train2017.json"
    file.write_text(file.read_text()[:-20])
    with pytest.raises(ValueError, match=r"instances_train2017.json: damaged or not JSON \(.*line 1 column"):
        coco.read(root, "train")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"instances_train2017.json: damaged or not JSON"):
        coco.read(root, "train")
    file.write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"instances_train2017.json: damaged or not JSON"):
        coco.read(root, "train")
    file.write_text("[1, 2]")
    with pytest.raises(ValueError, match="it has no list 'images'"):
        coco.read(root, "train")


def test_a_missing_image_is_named(root):
    (root / "train2017" / f"{30:012d}.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"instances_train2017.json, image 30: .*000030.jpg: no such image"):
        coco.read(root, "train")
    with pytest.raises(FileNotFoundError, match=r"captions_train2017.json, image 30: .*000030.jpg: no such image"):
        coco.read_captions(root, "train")


@pytest.mark.parametrize(("read", "kind"), [(coco.read, "instances"), (coco.read_captions, "captions")])
def test_a_missing_file_is_named(tmp_path, read, kind):
    with pytest.raises(
        FileNotFoundError, match=rf"no annotations/{kind}_val….json; expected annotations/{kind}_val2017"
    ):
        read(tmp_path, "val")


def test_boxes_are_float32_and_labels_int64(root):
    annotated = coco.read(root, "train")
    assert {boxes.dtype for boxes in annotated.boxes} == {np.dtype(np.float32)}
    assert {labels.dtype for labels in annotated.labels} == {np.dtype(np.int64)}

"""Pascal VOC in its own layout: images, classes, boxes, and what is refused."""

import shutil

import numpy as np
import pytest
from PIL import Image

from pipelines import ssd, voc
from tests.helpers.boxed_images import edit
from tests.helpers.images import save
from tests.helpers.voc_and_coco import make_voc, write_voc


@pytest.fixture
def root(tmp_path):
    return make_voc(tmp_path / "VOCdevkit")


def test_trainval_of_all_years_is_trained_on(root):
    annotated = voc.read(root, "train")
    assert [path.name for path in annotated.paths] == ["000005.jpg", "000007.jpg", "2008_000002.jpg"]
    assert annotated.paths[2] == root / "VOC2012" / "JPEGImages" / "2008_000002.jpg"
    assert annotated.sizes.tolist() == [[40, 60]] * 3
    assert [labels.tolist() for labels in annotated.labels] == [[11, 7], [11], [19]]
    assert [difficult.tolist() for difficult in annotated.difficult] == [[False, False], [True], [False]]


def test_test_of_2007_is_evaluated_with_its_images_without_objects(root):
    annotated = voc.read(str(root), "val")
    assert [path.name for path in annotated.paths] == ["000001.jpg", "000002.jpg"]
    assert [labels.tolist() for labels in annotated.labels] == [[14], []]
    assert annotated.boxes[1].shape == (0, 4)


def test_corners_count_from_one_and_belong_to_the_object(root):
    boxes = voc.read(root, "train").boxes
    assert boxes[0].tolist() == [[0, 0, 60, 40], [4, 5, 5, 6]]
    assert boxes[0].dtype == np.float32
    np.testing.assert_allclose(boxes[2], [[9.7, 19, 30.2, 40]], rtol=1e-6)


def test_classes_are_vocs_twenty_where_all_are_among_them(root):
    assert voc.read(root, "train").classes == voc.read(root, "val").classes == voc.CLASSES
    assert len(voc.CLASSES) == 20
    assert list(voc.CLASSES) == sorted(voc.CLASSES)


def test_other_data_in_vocs_form_has_the_classes_that_are_trained_on(tmp_path):
    year = write_voc(tmp_path / "VOC2030", "trainval", {"a": [("worm", 1, 1, 9, 9, 0)], "b": [("ant", 1, 1, 9, 9, 1)]})
    write_voc(year, "test", {"c": [("ant", 1, 1, 9, 9, 0)]})
    for root in (tmp_path, year):
        assert voc.read(root, "train").classes == ("ant", "worm")
        assert voc.read(root, "val").classes == ("ant", "worm")
        assert voc.read(root, "val").labels[0].tolist() == [0]


def test_one_year_alone_is_read_too(root):
    assert [path.name for path in voc.read(root / "VOC2012", "train").paths] == ["2008_000002.jpg"]
    assert len(voc.read(root / "VOC2007", "val")) == 2


def test_to_evaluate_voc_no_training_data_are_needed(root):
    shutil.rmtree(root / "VOC2012")
    (root / "VOC2007" / "ImageSets" / "Main" / "trainval.txt").unlink()
    assert voc.read(root, "val").classes == voc.CLASSES


def test_a_folder_of_voc_is_told_from_others(root, colour_folder):
    assert voc.is_voc(root)
    assert voc.is_voc(root / "VOC2007")
    assert not voc.is_voc(root / "VOC2007" / "Annotations")
    assert not voc.is_voc(colour_folder)
    assert not voc.is_voc(root / "nowhere")


def test_images_that_are_no_jpegs_are_found_by_their_name_in_the_annotation(root):
    folder = root / "VOC2012"
    (folder / "JPEGImages" / "2008_000002.jpg").unlink()
    save(Image.new("RGB", (60, 40)), folder / "JPEGImages" / "photo.png")
    edit(folder / "Annotations" / "2008_000002.xml", "2008_000002.jpg", "photo.png")
    assert voc.read(root, "train").paths[2].name == "photo.png"


@pytest.mark.parametrize("folder", ["photos/", "/data/VOC/", "..\\photos\\", "C:\\"])
def test_of_a_name_with_folders_in_the_annotation_the_last_part_counts(root, folder):
    year = root / "VOC2012"
    edit(year / "Annotations" / "2008_000002.xml", "2008_000002.jpg", f"{folder}photo.png")
    assert voc.read(root, "train").paths[2].name == "2008_000002.jpg"
    (year / "JPEGImages" / "2008_000002.jpg").unlink()
    save(Image.new("RGB", (60, 40)), year / "JPEGImages" / "photo.png")
    assert voc.read(root, "train").paths[2] == year / "JPEGImages" / "photo.png"


@pytest.mark.parametrize("name", ["/", "..", ""])
def test_a_name_in_the_annotation_that_is_none_is_no_image(root, name):
    edit(root / "VOC2012" / "Annotations" / "2008_000002.xml", "2008_000002.jpg", name)
    (root / "VOC2012" / "JPEGImages" / "2008_000002.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"2008_000002.jpg: no such image"):
        voc.read(root, "train")


@pytest.mark.parametrize("size", ["<width>0</width><height>0</height>", ""])
def test_where_the_annotation_does_not_know_the_size_the_image_does(root, size):
    file = root / "VOC2007" / "Annotations" / "000005.xml"
    edit(file, "<width>60</width><height>40</height>", size)
    assert voc.read(root, "train").sizes.tolist() == [[40, 60]] * 3


def test_corners_that_count_from_zero_are_cut_off_at_the_border(root):
    file = root / "VOC2007" / "Annotations" / "000005.xml"
    edit(file, "<xmin>1</xmin><ymin>1</ymin>", "<xmin>0</xmin><ymin>0</ymin>")
    assert voc.read(root, "train").boxes[0][0].tolist() == [0, 0, 60, 40]


def test_it_is_trained_on(root):
    loader = ssd.train(voc.read(root, "train"), batch_size=2, size=32, device="cpu", num_threads=1)
    assert (loader.classes, len(loader)) == (voc.CLASSES, 1)


@pytest.mark.parametrize("split", ["test", "trainval", "", None])
def test_another_part_is_refused(root, split):
    with pytest.raises(ValueError, match="allowed are 'train' and 'val'"):
        voc.read(root, split)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("000005.xml", "<xmax>5<", "<xmax>4<", r"000005.xml, object 2 \('cat'\): its box, xmin=5, .*xmax=4.* no area"),
        ("000005.xml", "<ymax>6<", "<ymax>2<", r"000005.xml, object 2 \('cat'\): its box, .*ymax=2, has no area"),
        (
            "000005.xml",
            "<xmax>60<",
            "<xmax>62<",
            r"object 1 \('dog'\): its box, .*xmax=62.* extends past .* 60×40 pixels",
        ),
        ("000005.xml", "<ymin>1<", "<ymin>-1<", r"object 1 \('dog'\): its box, .*ymin=-1.* extends past the image"),
        ("000005.xml", "<xmin>5<", "<xmin>nan<", r"object 2 \('cat'\): bndbox/xmin is 'nan'; expected a number"),
        ("000005.xml", "<xmax>60<", "<xmax>inf<", r"object 1 \('dog'\): bndbox/xmax is 'inf'; expected a number"),
        ("000005.xml", "<width>60<", "<width>nan<", r"000005.xml: size/width is 'nan'; expected a number"),
        ("000005.xml", "<height>40<", "<height>inf<", r"000005.xml: size/height is 'inf'; expected a number"),
        (
            "000005.xml",
            "<annotation>",
            "<?xml version='1.0' encoding='odd'?><annotation>",
            r"000005.xml: damaged or not",
        ),
        ("000005.xml", "<annotation>", "<?xml version='1.0' encoding='utf-7'?><annotation>", r"000005.xml: damaged or"),
        ("000005.xml", "<xmin>5<", "<xmin>five<", r"object 2 \('cat'\): bndbox/xmin is 'five'; expected a number"),
        ("000005.xml", "<xmin>1</xmin>", "", r"object 1 \('dog'\): bndbox/xmin is None; expected a number"),
        ("000005.xml", "<width>60<", "<width>6x<", r"000005.xml: size/width is '6x'; expected a number"),
        ("000005.xml", "<width>60<", "<width>61<", r"000005.xml: it says 61×40 pixels .*000005.jpg has 60×40 pixels"),
        ("000005.xml", "</annotation>", "", r"000005.xml: damaged or not XML \(no element found"),
        ("000001.xml", ">person<", ">persona<", r"000001.xml, object 1 \('persona'\): its class is not one of the tr"),
    ],
)
def test_what_is_wrong_in_an_annotation_is_named(root, file, old, new, message):
    edit(root / "VOC2007" / "Annotations" / file, old, new)
    with pytest.raises(ValueError, match=message):
        voc.read(root, "val" if file == "000001.xml" else "train")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("VOC2007/JPEGImages/000007.jpg", r"000007.xml: .*000007.jpg: no such image"),
        ("VOC2007/Annotations/000007.xml", r"000007.xml: no such annotation, but .*trainval.txt has 000007"),
        ("VOC2012/ImageSets/Main/trainval.txt", r"VOC2012/ImageSets/Main/trainval.txt: no such list of images"),
    ],
)
def test_a_missing_file_is_named(root, path, message):
    (root / path).unlink()
    with pytest.raises(FileNotFoundError, match=message):
        voc.read(root, "train")


def test_without_a_test_list_nothing_is_evaluated(root):
    (root / "VOC2007" / "ImageSets" / "Main" / "test.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"VOC2007/ImageSets/Main/test.txt: no such list of images"):
        voc.read(root, "val")
    shutil.rmtree(root / "VOC2007")
    write_voc(root / "VOC2011", "trainval", {})
    with pytest.raises(FileNotFoundError, match=r"VOC2007/ImageSets/Main/test.txt: no such list of images"):
        voc.read(root, "val")


@pytest.mark.parametrize("name", ["person", "ant"])
def test_without_a_training_list_nothing_is_trained_on(tmp_path, name):
    write_voc(tmp_path / "VOC2007", "test", {"c": [(name, 1, 1, 9, 9, 0)]})
    with pytest.raises(FileNotFoundError, match=r"VOC2007/ImageSets/Main/trainval.txt: no such list of images"):
        voc.read(tmp_path, "train")


def test_other_data_need_their_training_list_to_be_evaluated(tmp_path):
    write_voc(tmp_path / "VOC2030", "test", {"c": [("ant", 1, 1, 9, 9, 0)]})
    with pytest.raises(FileNotFoundError, match=r"VOC2030/ImageSets/Main/trainval.txt: no such list of images"):
        voc.read(tmp_path, "val")


def test_a_folder_that_is_none_of_voc_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder VOC….*; expected a VOCdevkit folder with VOC2007"):
        voc.read(tmp_path, "train")


def test_an_empty_list_is_refused(root):
    for year in ("VOC2007", "VOC2012"):
        (root / year / "ImageSets" / "Main" / "trainval.txt").write_text("\n")
    with pytest.raises(ValueError, match="no images are listed"):
        voc.read(root, "train")

"""Ground-truth boxes: read from CSV, XML and CUB's lists; moved into the crop as the images are; refusals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.helpers.boxed_images import edit, make_boxed, make_cub
from tests.helpers.images import save
from tests.helpers.training import ALONE
from train.data.ground_truth_boxes import boxes_in_crop, read_boxed, turned
from train.data.splits import listed
from train.recipes import digits
from train.tasks import classification

XML = """<annotation><filename>x</filename><size><width>80</width><height>60</height></size>
<object><name>{name}</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object>
<object><name>other</name><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>
<object><name>{name}</name><bndbox><xmin>5</xmin><ymin>6</ymin><xmax>70</xmax><ymax>50</ymax></bndbox></object>
</annotation>"""


@pytest.fixture
def root(tmp_path):
    return make_boxed(tmp_path / "set", train=2, val=2)


def test_a_csv_beside_the_folder_is_found(root):
    found = read_boxed(root / "val", None)
    assert found.classes == ("bright", "faint", "middle", "pale")
    assert len(found.paths) == len(found.labels) == len(found.boxes) == 8
    for path, label, (box,) in zip(found.paths, found.labels, found.boxes, strict=True):
        assert path.parent.name == found.classes[label]
        with Image.open(path) as image:
            bright = np.argwhere(np.asarray(image) > 40)
        assert box.tolist() == [*bright.min(0)[::-1], *(bright.max(0)[::-1] + 1)]


def test_several_boxes_of_an_image_are_all_kept(root):
    with (root / "boxes.csv").open("a") as file:
        file.write("val/pale/0.png,1,2,3,4\n")
    found = read_boxed(root / "val", root / "boxes.csv")
    assert found.boxes[found.paths.index(root / "val/pale/0.png")].shape == (2, 4)
    assert sum(map(len, found.boxes)) == 9


def test_paths_may_be_below_the_folder_itself_and_the_csv_anywhere(root, tmp_path):
    expected = read_boxed(root / "val", None)
    text = (root / "boxes.csv").read_text().replace("val/", "")
    elsewhere = tmp_path / "elsewhere.csv"
    elsewhere.write_text("\n".join(line for line in text.splitlines() if not line.startswith("train")))
    found = read_boxed(root / "val", elsewhere)
    assert all(map(np.array_equal, found.boxes, expected.boxes))


def test_a_link_to_a_class_folder_does_not_matter(root, tmp_path):
    (tmp_path / "linked").mkdir()
    for name in ("faint", "pale"):
        (tmp_path / "linked" / name).symlink_to(root / "val" / name)
    assert len(read_boxed(tmp_path / "linked", root / "boxes.csv").boxes) == 4


def test_xml_as_imagenet_has_it(root, tmp_path):
    """The objects of the image's class, all where none has its name; counted as VOC's, from 1, both corners inside."""
    for path in (root / "val").rglob("*.png"):
        path.rename(path.with_name(f"{path.parent.name}_{path.name}"))
    for path in (root / "val").rglob("*.png"):
        name = "other" if path.parent.name == "pale" else path.parent.name
        folder = tmp_path / "xml" / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{path.stem}.xml").write_text(XML.format(name=name))
    found = read_boxed(root / "val", tmp_path / "xml")
    for path, boxes in zip(found.paths, found.boxes, strict=True):
        expected = [[0, 1, 30, 40], [-1, -1, 9, 9], [4, 5, 70, 50]]
        assert boxes.tolist() == (expected if path.parent.name == "pale" else expected[::2])


def test_cub_has_its_own(tmp_path):
    found = read_boxed(make_cub(tmp_path), None)
    assert len(found.paths) == 9
    assert found.classes[0] == "001.Bright_bird"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("path,", "file,", r"boxes.csv: no column path; it needs the columns path, x1, y1, x2, y2"),
        (
            "train/bright/0.png,",
            "train/bright/0.png,x",
            r"boxes.csv, line 2: path='train/bright/0.png', x1='x.* numbers",
        ),
        ("val/pale/1.png", "val/pale/9.png", r"boxes.csv, line \d+: val/pale/9.png: there is no such image in .*val"),
        ("val/pale/1.png", "train/pale/1.png", r"pale/1.png: no box for this image in .*boxes.csv; add one"),
    ],
)
def test_a_csv_that_does_not_fit_is_named(root, old, new, message):
    edit(root / "boxes.csv", old, new)
    with pytest.raises(ValueError, match=message):
        read_boxed(root / "val", None)


def test_missing_boxes_are_named(root, tmp_path):
    with pytest.raises(FileNotFoundError, match="--boxes gone: no such file or folder"):
        read_boxed(root / "val", Path("gone"))
    (root / "boxes.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"val: no boxes.csv in it or beside it; give --boxes, a CSV file"):
        read_boxed(root / "val", None)
    (tmp_path / "xml").mkdir()
    with pytest.raises(ValueError, match=r"bright/0.png: no box for this image in .*xml"):
        read_boxed(root / "val", tmp_path / "xml")


@pytest.mark.parametrize("text", ["<annotation>", "<a><object><bndbox><xmin>1</xmin></bndbox></object></a>"])
def test_xml_that_is_no_annotation_is_named(root, tmp_path, text):
    (tmp_path / "xml").mkdir()
    (tmp_path / "xml" / "0.xml").write_text(text)
    with pytest.raises(ValueError, match=r"0.xml: not an annotation with bndbox of xmin"):
        read_boxed(root / "val", tmp_path / "xml")


@pytest.mark.parametrize(
    ("box", "why"),
    [
        ((5, 5, 5, 9), "5, 5, 5, 9, has no area"),
        ((9, 5, 5, 9), "9, 5, 5, 9, has no area"),
        ((0, 0, np.nan, 5), "0, 0, nan, 5, has no area"),
        ((-1.5, 0, 5, 5), "-1.5, 0, 5, 5, extends past the image, which has 60×40 pixels"),
        ((0, 0, 61.5, 5), "0, 0, 61.5, 5, extends past the image, which has 60×40 pixels"),
        ((0, 0, 5, 41.5), "0, 0, 5, 41.5, extends past the image, which has 60×40 pixels"),
    ],
)
def test_a_box_that_is_none_is_named_with_its_image(tmp_path, box, why):
    save(Image.new("RGB", (60, 40)), tmp_path / "a.png")
    with pytest.raises(ValueError, match=f"a.png: its box, {why}"):
        boxes_in_crop(tmp_path / "a.png", np.array([[0.0, 0, 60, 40], box]), digits())


def test_a_box_that_reaches_out_by_a_pixel_is_cut_off_as_in_annotations(tmp_path):
    save(Image.new("RGB", (60, 40)), tmp_path / "a.png")
    given, whole = np.array([[-1.0, -0.5, 61, 40.25], [0, 0, 60, 40]])
    found = boxes_in_crop(tmp_path / "a.png", np.stack([given, whole]), digits())
    assert found.dtype == np.float64
    assert found[0].tolist() == found[1].tolist()


def test_a_file_that_is_no_image_is_named(tmp_path):
    (tmp_path / "a.jpg").write_text("text")
    with pytest.raises(ValueError, match=r"a.jpg: cannot be read as an image"):
        boxes_in_crop(tmp_path / "a.jpg", np.array([[0.0, 0, 1, 1]]), digits())


@given(st.integers(0, 7), st.lists(st.integers(0, 9), min_size=4, max_size=4))
def test_boxes_turn_as_images_do(orientation, drawn):
    """PIL's transposition by EXIF's orientation, on an image whose box is white."""
    x1, y1, x2, y2 = drawn[0], drawn[1] // 2, drawn[0] + 1 + drawn[2] // 3, drawn[1] // 2 + 1 + drawn[3] // 3
    pixels = np.zeros((9, 14), np.uint8)
    pixels[y1:y2, x1:x2] = 255
    image = Image.fromarray(pixels)
    image.getexif()[274] = orientation + 1
    white = np.argwhere(np.asarray(ImageOps.exif_transpose(image)))
    corners, size = turned(np.array([[[x1, y1], [x2, y2]]]), np.array([14, 9]), orientation + 1)
    assert corners.reshape(-1).tolist() == [*white.min(0)[::-1], *(white.max(0)[::-1] + 1)]
    assert size.tolist() == list(ImageOps.exif_transpose(image).size)


@pytest.mark.parametrize("augment", ["resized-crop", "stretch-crop"])
@pytest.mark.parametrize("size", [(200, 120), (90, 150), (64, 64)])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8, 5])
def test_boxes_lie_in_the_crop_where_the_object_is(tmp_path, augment, size, orientation):
    """The loader's own pixels: what is white in the crop is within half a pixel of where the box says it is."""
    width, height = size
    x1, y1, x2, y2 = width // 3, height // 4, width * 3 // 4, height
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[y1:y2, x1:x2] = 255
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[274] = orientation
    save(image, tmp_path / "a.jpg", quality=100, subsampling=0, exif=exif)
    config = replace(digits(), size=48, val_resize=60, augment=augment)
    (found,) = boxes_in_crop(tmp_path / "a.jpg", np.array([[x1, y1, x2, y2]], float), config)
    ((images, _),) = classification.val_loader(config, ALONE, listed("a", [(tmp_path / "a.jpg", 0)]))
    levels = (images[0, 0].numpy() * config.std[0] + config.mean[0]) / 255
    rows, columns = levels.max(axis=1).clip(0, 1), levels.max(axis=0).clip(0, 1)
    for profile, low, high in ((columns, found[0], found[2]), (rows, found[1], found[3])):
        inside = np.flatnonzero(profile > 0.5)
        assert inside.min() == pytest.approx(low, abs=0.6)
        assert inside.max() + 1 == pytest.approx(high, abs=0.6)

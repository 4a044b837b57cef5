"""Annotation files come from elsewhere: they name images below their folder only, and no nesting is too deep."""

import json
import os
import shutil

import pytest

from pipelines import coco, cub, voc
from tests.helpers import tally
from tests.helpers.boxed_images import edit, make_cub
from tests.helpers.voc_and_coco import caption_content, coco_content, make_voc, write_coco

OUTSIDE = ["../secret.jpg", "a/../../secret.jpg", "/secret.jpg", "..", "a/..", "", "a\0.jpg", "\ud800.jpg"]
NAMED = r"given; (expected a path below .*Put the file there, or a link to its folder|it holds a NUL or half)"


@pytest.fixture
def root(tmp_path):
    for kind, content in (("instances", coco_content()), ("captions", caption_content())):
        write_coco(tmp_path, "train2017", content, kind)
    shutil.copy(next((tmp_path / "train2017").rglob("*.jpg")), tmp_path / "secret.jpg")
    return tmp_path


def rename(root, kind, name):
    """Let the first image of an annotation file have another name."""
    file = root / "annotations" / f"{kind}_train2017.json"
    content = json.loads(file.read_text())
    content["images"][0]["file_name"] = name
    file.write_text(json.dumps(content))


@pytest.mark.parametrize("name", OUTSIDE, ids=ascii)
@pytest.mark.parametrize("kind", ["instances", "captions"])
def test_coco_names_no_image_outside_of_its_folder(root, kind, name):
    rename(root, kind, str(root / "secret.jpg") if name == "/secret.jpg" else name)
    read = coco.read if kind == "instances" else coco.read_captions
    with pytest.raises(ValueError, match=rf"{kind}_train2017\.json, image \d+: file_name: '.* {NAMED}"):
        read(root, "train")
    tally.count("bad")


def test_a_link_in_the_folder_is_the_users_own_and_is_followed(root):
    shutil.move(root / "train2017", root / "disk")
    (root / "train2017").mkdir()
    (root / "train2017" / "linked").symlink_to(root / "disk", target_is_directory=True)
    file = root / "annotations" / "instances_train2017.json"
    content = json.loads(file.read_text())
    for image in content["images"]:
        image["file_name"] = f"linked/{image['file_name']}"
    file.write_text(json.dumps(content))
    assert len(coco.read(root, "train")) == len(content["images"])


@pytest.mark.parametrize("name", ["../../secret", "/secret", "a/../../../secret"])
def test_voc_names_no_file_outside_of_its_folder(tmp_path, name):
    make_voc(tmp_path / "VOCdevkit")
    year = tmp_path / "VOCdevkit" / "VOC2007"
    for folder, ending in (("Annotations", "xml"), ("JPEGImages", "jpg")):
        shutil.copy(year / folder / f"000005.{ending}", tmp_path / f"secret.{ending}")
    edit(year / "ImageSets" / "Main" / "trainval.txt", "000005", name)
    with pytest.raises(ValueError, match=rf"trainval\.txt: '{name}\.xml' {NAMED}"):
        voc.read(tmp_path / "VOCdevkit", "train")
    tally.count("bad")


@pytest.mark.parametrize("name", ["../../secret.jpg", "/secret.jpg"])
def test_cub_names_no_image_outside_of_its_folder(tmp_path, name):
    make_cub(tmp_path / "cub")
    first = (tmp_path / "cub" / "images.txt").read_text().split("\n")[0].split(" ", 1)[1]
    edit(tmp_path / "cub" / "images.txt", first, name)
    with pytest.raises(ValueError, match=rf"images\.txt, image \d+: '{name}' {NAMED}"):
        cub.read_lists(tmp_path / "cub")
    tally.count("bad")


@pytest.mark.parametrize("depth", [10_000, 3_000_000])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_json_that_is_nested_too_deep_is_named(root, depth, opening):
    file = root / "annotations" / "instances_train2017.json"
    file.write_text('{"images": ' + opening * depth)
    with pytest.raises(ValueError, match=r"instances_train2017\.json: damaged or not JSON"):
        coco.read(root, "train")
    tally.count("bad")


@pytest.mark.parametrize("depth", [10_000, 200_000])
def test_xml_that_is_nested_deep_ends_the_usual_way(tmp_path, depth):
    make_voc(tmp_path)
    file = tmp_path / "VOC2007" / "Annotations" / "000005.xml"
    file.write_bytes(b"<a>" * depth)
    with pytest.raises(ValueError, match=r"000005\.xml: damaged or not XML"):
        voc.read(tmp_path, "train")
    file.write_bytes(b"<a>" * depth + b"</a>" * depth)
    assert len(voc.read(tmp_path, "train")) == 3
    tally.count("bad")


@pytest.mark.parametrize("which", ["list", "xml", "json", "cub"])
def test_nobody_waits_for_a_fifo(root, tmp_path, which):
    make_voc(tmp_path)
    make_cub(tmp_path / "cub")
    file, read = {
        "list": (tmp_path / "VOC2007" / "ImageSets" / "Main" / "trainval.txt", lambda: voc.read(tmp_path, "train")),
        "xml": (tmp_path / "VOC2007" / "Annotations" / "000005.xml", lambda: voc.read(tmp_path, "train")),
        "json": (root / "annotations" / "instances_train2017.json", lambda: coco.read(root, "train")),
        "cub": (tmp_path / "cub" / "images.txt", lambda: cub.read_lists(tmp_path / "cub")),
    }[which]
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(OSError, match=file.name):
        read()
    tally.count("bad")


@pytest.mark.parametrize("which", ["VOC2007/ImageSets/Main/trainval.txt", "cub/images.txt"])
def test_lists_in_another_encoding_are_named(tmp_path, which):
    make_voc(tmp_path)
    make_cub(tmp_path / "cub")
    (tmp_path / which).write_bytes(b"1 \xff\xfe\n")
    with pytest.raises(ValueError, match=rf"{which}: not UTF-8 text .*; save it as UTF-8"):
        cub.read_lists(tmp_path / "cub") if "cub" in which else voc.read(tmp_path, "train")


@pytest.mark.parametrize("side", [-1, 0, 2**40, 10**30])
def test_a_size_that_no_image_has_is_named_even_where_the_image_cannot_be_read(root, side):
    file = root / "annotations" / "instances_train2017.json"
    content = json.loads(file.read_text())
    content["images"][0]["width"] = side
    file.write_text(json.dumps(content))
    for damage in (False, True):
        if damage:
            (root / "train2017" / content["images"][0]["file_name"]).write_bytes(b"damaged")
        with pytest.raises(ValueError, match=rf"image {content['images'][0]['id']}: it says {side}×"):
            coco.read(root, "train")

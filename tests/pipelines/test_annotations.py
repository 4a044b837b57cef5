"""Annotated images: one form, checked against the headers; what training leaves out; what the digest covers."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from PIL.PngImagePlugin import PngInfo

from dali_cutmix.detection import Entry, Object, annotate
from tests.helpers.images import save


@pytest.fixture
def entry(tmp_path):
    """``entry(name, objects, size)``; images have 50×30 pixels."""

    def make(name="a.jpg", objects=(), size=(30, 50)):
        save(Image.new("RGB", (50, 30)), tmp_path / name)
        return Entry(f"list, {name}", tmp_path / name, size, objects)

    return make


def one(box=(1.0, 2.0, 3.0, 4.0), label=0, difficult=False):
    return Object("list, entry 7", "the box", label, box, difficult)


def test_arrays_are_of_one_form(entry):
    annotated = annotate(("x", "y"), iter([entry("a.jpg", [one(), one(label=1)]), entry("b.png", size=None)]))
    assert len(annotated) == 2
    assert (annotated.sizes.dtype, annotated.sizes.tolist()) == (np.int64, [[30, 50], [30, 50]])
    for boxes, labels, difficult, count in zip(
        annotated.boxes, annotated.labels, annotated.difficult, (2, 0), strict=True
    ):
        assert (boxes.shape, boxes.dtype) == ((count, 4), np.float32)
        assert (labels.shape, labels.dtype) == ((count,), np.int64)
        assert (difficult.shape, difficult.dtype) == ((count,), np.bool_)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ((0, 0, 50, 30), (0, 0, 50, 30)),
        ((-1, -0.5, 51, 30.25), (0, 0, 50, 30)),
        ((49.5, 0, 50.75, 30), (49.5, 0, 50, 30)),
    ],
)
def test_a_pixel_over_the_border_is_cut_off(entry, given, kept):
    assert annotate(("x",), [entry(objects=[one(given)])]).boxes[0].tolist() == [list(kept)]


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((5, 5, 5, 9), "has no area"),
        ((5, 9, 8, 9), "has no area"),
        ((9, 5, 8, 6), "has no area"),
        ((float("nan"), 5, 8, 6), "has no area"),
        ((-1.5, 0, 5, 5), "extends past the image, which has 50×30 pixels"),
        ((0, 0, 51.5, 5), "extends past the image"),
        ((0, 0, 5, float("inf")), "extends past the image"),
        ((50, 0, 50.5, 5), "extends past the image"),
        ((-0.5, 0, 0, 5), "extends past the image"),
    ],
)
def test_a_box_that_is_none_is_named(entry, box, message):
    with pytest.raises(ValueError, match=rf"^list, entry 7: its box, the box, {message}"):
        annotate(("x",), [entry(objects=[one(box)])])


def test_an_image_of_another_size_is_named(entry):
    with pytest.raises(ValueError, match=r"^list, a.jpg: it says 30×50 pixels .* but .*a.jpg has 50×30 pixels"):
        annotate(("x",), [entry(size=(50, 30))])


def test_an_image_that_exif_turns_has_the_size_of_its_file(entry, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = entry("turned.jpg")
    save(Image.new("RGB", (50, 30)), turned.path, exif=exif)
    assert annotate(("x",), [turned]).sizes.tolist() == [[30, 50]]
    with pytest.raises(ValueError, match="before any rotation by EXIF"):
        annotate(("x",), [turned._replace(size=(50, 30))])


def test_a_missing_image_is_named(entry):
    gone = entry()
    gone.path.unlink()
    with pytest.raises(
        FileNotFoundError, match=r"^list, a.jpg: .*a.jpg: no such image. Put it there, or remove the entry"
    ):
        annotate(("x",), [gone])


def test_a_file_that_is_no_image_is_left_to_the_loader_if_its_size_is_known(entry):
    bad = entry()
    bad.path.write_bytes(b"no image")
    assert annotate(("x",), [bad]).sizes.tolist() == [[30, 50]]
    with pytest.raises(ValueError, match=r"^list, a.jpg: .*a.jpg cannot be read as an image .* Remove it"):
        annotate(("x",), [bad._replace(size=None)])


def test_an_image_that_is_too_large_is_left_to_the_loader(entry, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert annotate(("x",), [entry()]).sizes.tolist() == [[30, 50]]


@pytest.mark.filterwarnings("error")
def test_an_image_that_pillow_warns_of_is_left_to_the_loader_where_warnings_are_errors(entry, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert annotate(("x",), [entry()]).sizes.tolist() == [[30, 50]]
    with pytest.raises(ValueError, match=r"^list, a.jpg: .*a.jpg cannot be read as an image .* Remove it"):
        annotate(("x",), [entry(size=None)])


def test_an_image_with_text_that_unpacks_to_too_much_is_left_to_the_loader(entry):
    text = PngInfo()
    text.add_text("bomb", "x" * 2 * PngImagePlugin.MAX_TEXT_CHUNK, zip=True)
    bomb = entry("bomb.png")
    save(Image.new("RGB", (50, 30)), bomb.path, pnginfo=text)
    assert annotate(("x",), [bomb]).sizes.tolist() == [[30, 50]]
    with pytest.raises(ValueError, match=r"^list, bomb.png: .*bomb.png cannot be read as an image .* Remove it"):
        annotate(("x",), [bomb._replace(size=None)])


def test_no_entries_are_refused():
    with pytest.raises(ValueError, match="no images are listed; at least one is needed"):
        annotate(("x",), [])


def test_training_is_without_difficult_objects_and_without_images_that_have_no_other(entry):
    annotated = annotate(
        ("x", "y"),
        [
            entry("a.jpg", [one(difficult=True), one((5, 5, 9, 9), 1)]),
            entry("b.jpg", [one(difficult=True)]),
            entry("c.jpg"),
            entry("d.jpg", [one(label=1)]),
        ],
    )
    trained = annotated.for_training()
    assert [path.name for path in trained.paths] == ["a.jpg", "d.jpg"]
    assert [boxes.tolist() for boxes in trained.boxes] == [[[5, 5, 9, 9]], [[1, 2, 3, 4]]]
    assert [labels.tolist() for labels in trained.labels] == [[1], [1]]
    assert (len(trained.sizes), trained.classes) == (2, ("x", "y"))
    assert not np.concatenate(trained.difficult).any()
    assert trained.for_training().digest == trained.digest


def test_the_digest_stands_for_all_but_the_paths(entry, tmp_path):
    annotated = annotate(("x", "y"), [entry("a.jpg", [one()]), entry("b.jpg", [one(label=1), one()])])
    a, b = annotated.boxes
    changed = [
        {"classes": ("x", "z")},
        {"sizes": annotated.sizes + 1},
        {"boxes": (a + np.float32(0.25), b)},
        {"boxes": (b, a), "labels": annotated.labels[::-1], "difficult": annotated.difficult[::-1]},
        {"labels": (annotated.labels[0], annotated.labels[1][::-1].copy())},
        {"difficult": tuple(~difficult for difficult in annotated.difficult)},
    ]
    digests = {replace(annotated, **change).digest for change in changed}
    assert len(digests) == len(changed)
    assert annotated.digest not in digests
    assert replace(annotated, paths=(tmp_path / "c.jpg", tmp_path / "d.jpg")).digest == annotated.digest

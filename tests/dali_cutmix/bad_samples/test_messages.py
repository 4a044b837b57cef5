"""Messages about many bad or missing samples, and about names that a terminal would obey."""

import shutil
from functools import partial

import pytest
from PIL import Image

import dali_cutmix as dc
from pipelines import imagenet
from tests.helpers.images import save

NAME = "\x1b]0;mine\x07\u202e"


@pytest.fixture
def files(tmp_path):
    """Paths of 32 files: 12 that are no image, with names that a terminal would obey, after 20 photographs."""
    photos = [tmp_path / f"{number:02}.jpg" for number in range(20)]
    bad = [tmp_path / f"{NAME}{number:02}.jpg" for number in range(12)]
    for number, path in enumerate(photos):
        save(Image.new("RGB", (20, 20), (number,) * 3), path)
    for path in bad:
        path.write_text("no image")
    return [*photos, *bad]


def evaluation(files):
    return imagenet.val(partial(dc.read_files, files), batch_size=len(files), size=16, resize=16, device="cpu", retry=0)


def test_ten_bad_files_are_named_and_the_others_counted(files):
    with pytest.raises(dc.DecodeError, match=r"09\.jpg \(not an image.*\) and 2 more\. Remove") as caught:
        next(iter(evaluation(files)))
    assert str(caught.value).count(".jpg") == 10


def test_names_of_bad_files_are_escaped(files):
    with pytest.raises(dc.DecodeError) as caught:
        next(iter(evaluation(files)))
    assert str(caught.value).isprintable()
    assert r"\x1b]0;mine\x07\u202e00.jpg (not an image" in str(caught.value)


def test_names_of_files_that_are_gone_are_escaped_too(files):
    loader = evaluation(files)
    shutil.rmtree(files[0].parent)
    with pytest.raises(dc.StorageError, match=r" and 22 more\.") as caught:
        next(iter(loader))
    assert str(caught.value).isprintable()

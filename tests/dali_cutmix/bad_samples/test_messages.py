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


def evaluation(files, **options):
    read = partial(dc.read_files, files)
    return imagenet.val(read, batch_size=len(files), size=16, resize=16, device="cpu", retry=0, **options)


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


def test_where_no_good_file_is_left_no_larger_max_bad_is_advised(files, tmp_path):
    loader = evaluation(files[20:], on_error="replace", max_bad=1.0, bad_log=tmp_path / "bad.jsonl")
    with pytest.raises(
        dc.DecodeError, match=r"^12 of 12 samples .* none is left to replace them; .* all bad files\)\.$"
    ):
        next(iter(loader))

"""Lists of files: read in their own order, shuffled as folders are."""

from pathlib import Path

import pytest
from PIL import Image

import dali_cutmix as dc
from dali_cutmix.sources import image_folder
from pipelines import imagenet
from tests.helpers import tally
from tests.helpers.images import save
from tests.helpers.loaders import epoch_of, flat, loader_of


@pytest.fixture
def samples(tmp_path):
    """Ten paths in no order, each labelled by a number of its own."""
    paths = [tmp_path / f"{9 - i} ü" / f"{i}.jpg" for i in range(10)]
    for i, path in enumerate(paths):
        save(Image.new("L", (8, 8), 20 * i), path)
    return [(path, i) for i, path in enumerate(paths)]


def test_a_list_is_read_in_its_own_order(samples):
    assert flat(epoch_of(loader_of(dc.read_files, samples, shuffle=False))) == list(range(10))
    assert flat(epoch_of(loader_of(dc.read_files, samples[::-1], shuffle=False))) == list(range(9, -1, -1))


def test_it_is_shuffled_as_a_folder(colour_folder):
    root = Path(colour_folder)
    files, labels, _ = image_folder.scan_folder(root)
    listed = loader_of(dc.read_files, [(root / f, n) for f, n in zip(files, labels, strict=True)], seed=4)
    scanned = loader_of(dc.read_folder, root, seed=4)
    assert [epoch_of(listed) for _ in range(3)] == [epoch_of(scanned) for _ in range(3)]


def test_a_list_trains_and_relative_paths_are_meant_from_here(samples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    relative = [(path.relative_to(tmp_path), label) for path, label in samples]
    loader = imagenet.train(lambda **order: dc.read_files(relative, **order), batch_size=5, size=8, device="cpu")
    monkeypatch.chdir("/")
    assert [(tuple(images.shape), tuple(targets.shape)) for images, targets in loader] == [((5, 3, 8, 8), (5, 10))] * 2
    assert loader.num_classes == 10
    assert loader.classes == ()


def test_a_sample_may_be_listed_twice_and_classes_may_be_named(samples):
    loader = loader_of(dc.read_files, samples[:2] * 2, shuffle=False, classes=["zero", "one", "two"])
    assert epoch_of(loader) == [[0, 1, 0, 1]]
    assert loader.classes == ("zero", "one", "two")
    assert loader.num_classes == 3


def test_the_state_belongs_to_the_list_and_not_to_the_place(samples, tmp_path):
    saved = loader_of(dc.read_files, samples).state_dict()
    with pytest.raises(ValueError, match=r"files: '[0-9a-f]+' saved"):
        loader_of(dc.read_files, samples[::-1]).load_state_dict(saved)
    moved = tmp_path.rename(tmp_path.with_name("moved to another place"))
    again = loader_of(dc.read_files, [(moved / path.relative_to(tmp_path), label) for path, label in samples])
    again.load_state_dict(saved)
    tally.count("resumes")


def test_a_missing_file_of_a_list_is_named(samples):
    samples[3][0].unlink()
    loader = imagenet.val(lambda **order: dc.read_files(samples, **order), batch_size=5, size=8, resize=8, device="cpu")
    with pytest.raises(dc.DecodeError, match=r"6 ü/3\.jpg \(cannot be read: No such file or directory\)"):
        list(loader)
    tally.count("bad")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "no samples given; give at least one"),
        (
            [("/a.jpg", 0), ("/b.jpg", -1)],
            r"sample 1: \('/b\.jpg', -1\) given; expected \(path, label\) with",
        ),
        ([("/a.jpg", "cat")], r"\('/a\.jpg', 'cat'\) given"),
        ([("/a.jpg", 1.5)], r"\('/a\.jpg', 1\.5\) given"),
        ([("/a\nb.jpg", 0)], r"'a\\nb\.jpg': a name that is empty, ends with a space or holds a line break"),
        ([("/a\0b.jpg", 0)], r"'a\\x00b\.jpg': a name that .* holds a line break or NUL cannot be read; rename it\."),
        ([("/a.jpg ", 0), ("/b", 0)], r"'a\.jpg ': a name that is empty, ends with a space"),
        ([("", 0), ("/b", 0)], r"sample 0: \('', 0\) given; expected"),
        ([(7, 0)], r"sample 0: \(7, 0\) given"),
        ([("s3://a/1.jpg", 0), ("/b.jpg", 0)], r"1 of 2 paths begin with s3://, below ''; give local paths, or"),
        ([("s3://a/1.jpg", 0), ("s3://b/1.jpg", 0)], r"2 of 2 paths begin with s3://, below 's3://'; give"),
    ],
    ids=str,
)
def test_what_is_no_list_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        loader_of(dc.read_files, wrong)


def test_fewer_names_than_classes_are_refused(samples):
    with pytest.raises(ValueError, match="2 classes named, but labels go up to 9; name all, or none"):
        loader_of(dc.read_files, samples, classes=["a", "b"])

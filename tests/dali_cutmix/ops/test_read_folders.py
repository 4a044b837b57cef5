"""Several folders at once, and folders that are scanned only once."""

import time

import pytest
from PIL import Image

import dali_cutmix as dc
from dali_cutmix.sources import class_folders, image_folder
from dali_cutmix.sources.sample_list import SampleList
from pipelines import imagenet
from tests.helpers import tally
from tests.helpers.images import save
from tests.helpers.loaders import epoch_of, flat, loader_of

# Several folders


@pytest.fixture
def roots(tmp_path):
    for name in ("one/a/1", "one/b/2", "one/b/3", "two/b/4", "two/c/5"):
        save(Image.new("L", (8, 8)), tmp_path / f"{name}.jpg")
    return [tmp_path / "one", tmp_path / "two"]


def test_classes_of_several_folders_are_put_together_by_name(roots):
    loader = loader_of(dc.read_folder, roots, shuffle=False)
    assert loader.classes == ("a", "b", "c")
    assert flat(epoch_of(loader)) == [0, 1, 1, 1, 2]
    names = imagenet.val(roots, batch_size=1, size=8, resize=8, device="cpu")
    assert [labels.item() for _, labels in names] == [0, 1, 1, 1, 2]


def test_one_of_several_that_is_missing_is_named(roots):
    with pytest.raises(FileNotFoundError, match="three: no such folder"):
        loader_of(dc.read_folder, [*roots, roots[0].parent / "three"])
    with pytest.raises(ValueError, match="read_folder: no path given; give at least one"):
        loader_of(dc.read_folder, [])
    with pytest.raises(ValueError, match="s3://bucket/train given; on S3 only single images are read, from a list"):
        loader_of(dc.read_folder, "s3://bucket/train")


@pytest.mark.parametrize("target", ["x", "nowhere"])
def test_a_class_that_is_a_link_to_nowhere_or_to_itself_is_not_left_out(roots, target):
    (roots[0] / "x").symlink_to(target)
    with pytest.raises(ValueError, match="one/x: a broken link; fix or remove it"):
        loader_of(dc.read_folder, roots)
    tally.count("bad")


# Folders that are scanned once


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A folder of 12 images that count as many, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(image_folder, "WORTH_REMEMBERING", 10)
    monkeypatch.setattr(image_folder, "_SETTLED", -60.0)
    for i in range(12):
        (tmp_path / "data" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "ab"[i % 2] / f"{i}.jpg").touch()
    return tmp_path


def scans(root, monkeypatch, **options):
    """How many class folders are read, and what is found."""
    found, real = [], class_folders.walk

    def spy(root, name):
        found.append(name)
        return real(root, name)

    with monkeypatch.context() as patch:
        patch.setattr(class_folders, "walk", spy)
        listing, classes = image_folder.list_folders([str(root)], **options)
    return len(found), [listing.name(n) for n in range(len(listing))], classes


def test_a_large_folder_is_scanned_once(cache, monkeypatch):
    first = scans(cache / "data", monkeypatch)
    assert first[0] == 2
    assert scans(cache / "data", monkeypatch) == (0, *first[1:])
    assert scans(cache / "data", monkeypatch, cache=False) == first


@pytest.mark.parametrize("change", ["add", "remove", "rename", "class"])
def test_and_again_when_it_changes(cache, monkeypatch, change):
    scans(cache / "data", monkeypatch)
    time.sleep(0.02)
    changes = {
        "add": lambda: (cache / "data" / "a" / "new.jpg").touch(),
        "remove": lambda: (cache / "data" / "a" / "0.jpg").unlink(),
        "rename": lambda: (cache / "data" / "a" / "0.jpg").rename(cache / "data" / "a" / "00.jpg"),
        "class": lambda: (cache / "data" / "b").rename(cache / "data" / "c"),
    }
    changes[change]()
    assert scans(cache / "data", monkeypatch) == scans(cache / "data", monkeypatch, cache=False)


def test_a_folder_that_changed_a_moment_ago_is_not_remembered(cache, monkeypatch):
    monkeypatch.setattr(image_folder, "_SETTLED", 60.0)
    assert [scans(cache / "data", monkeypatch)[0] for _ in range(2)] == [2, 2]


def test_a_damaged_cache_is_not_believed(cache, monkeypatch):
    first = scans(cache / "data", monkeypatch)
    (kept,) = (cache / "cache" / "dali_cutmix" / "lists").iterdir()
    content = kept.read_bytes()
    for damaged in (content[:-3], b"", content.replace(b"a/0.jpg", b"a/9.jpg"), b"\0" * 9):
        kept.write_bytes(damaged)
        assert scans(cache / "data", monkeypatch) == first


def test_without_a_place_for_a_cache_the_folder_is_scanned(cache, monkeypatch):
    (cache / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "file"))
    assert [scans(cache / "data", monkeypatch)[0] for _ in range(2)] == [2, 2]


def test_small_folders_leave_nothing_in_the_cache(cache, monkeypatch):
    monkeypatch.setattr(image_folder, "WORTH_REMEMBERING", 13)
    scans(cache / "data", monkeypatch)
    assert not (cache / "cache").exists()


# The listing itself


def test_a_listing_gives_back_what_it_was_made_of():
    names = ["a b/it's 1, 2.jpg", "übung/ß ✓.jpg", "x=y;z/#1.jpg", "q/5 6 7", "\udcff.jpg", "t\tab.jpg"]
    listing = SampleList.of(names, range(6))
    assert [listing.name(n) for n in range(6)] == names
    assert [listing.label(n) for n in range(6)] == list(range(6))
    replaced = listing.replaced({0: 5, 3: 2, 5: 4})
    assert [replaced.label(n) for n in range(6)] == [5, 1, 2, 2, 4, 4]
    assert [replaced.name(n) for n in range(6)] == [names[i] for i in (5, 1, 2, 2, 4, 4)]
    assert len(SampleList.numbered(12)) == 12
    assert [SampleList.numbered(12).label(n) for n in (0, 9, 11)] == [0, 9, 11]

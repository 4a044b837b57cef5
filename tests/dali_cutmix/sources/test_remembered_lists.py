"""Lists of large folders that were stored: no change goes unnoticed, and no entry is believed without a check."""

import json
import os
import subprocess
import time

import pytest
from torchvision.datasets import ImageFolder

import dali_cutmix as dc
from dali_cutmix.sources import class_folders, image_folder
from dali_cutmix.sources.sample_list import SampleList
from dali_cutmix.utils import cache_path, remember
from tests.helpers import tally
from tests.helpers.loaders import loader_of


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder of 12 images that count as many, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(image_folder, "WORTH_REMEMBERING", 10)
    monkeypatch.setattr(image_folder, "_SETTLED", -60.0)
    for number in range(12):
        path = tmp_path / "data" / "ab"[number % 2] / "x" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "data"


def names(root, **options):
    listing, _ = image_folder.list_folders([str(root)], **options)
    return [listing.name(number) for number in range(len(listing))]


def real(root):
    """What torchvision finds."""
    return [os.path.relpath(path, root) for path, _ in ImageFolder(str(root)).samples]


def is_scanned(root, monkeypatch, **options):
    with monkeypatch.context() as patch:
        found, walk = [], class_folders.walk
        patch.setattr(class_folders, "walk", lambda *place: (found.append(place), walk(*place))[1])
        names(root, **options)
    return bool(found)


def restore_times(root, change):
    """Change something and give all folders the times that they had, as ``rsync -a`` and ``touch -r`` do."""
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    before = [(folder, folder.stat()) for folder in folders]
    time.sleep(0.02)
    change()
    for folder, found in before:
        os.utime(folder, ns=(found.st_atime_ns, found.st_mtime_ns))
        assert folder.stat().st_mtime_ns == found.st_mtime_ns


@pytest.mark.parametrize("depth", ["a", "a/x"])
@pytest.mark.parametrize("what", ["more", "less", "other"])
def test_a_change_behind_restored_times_is_noticed(root, depth, what):
    (root / "a" / "0.jpg").touch()
    assert names(root) == real(root)
    old = next((root / depth).glob("*.jpg"))
    new = root / depth / "new.jpg"
    changes = {"more": new.touch, "less": old.unlink, "other": lambda: old.rename(new)}
    restore_times(root, changes[what])
    assert names(root) == real(root)
    tally.count("bad")


def test_a_copy_by_touch_r_is_noticed(root, tmp_path):
    names(root)
    (tmp_path / "times").mkdir()
    folder = root / "b" / "x"
    subprocess.run(["touch", "-r", str(folder), str(tmp_path / "times")], check=True)
    time.sleep(0.02)
    (folder / "new.jpg").touch()
    subprocess.run(["touch", "-r", str(tmp_path / "times"), str(folder)], check=True)
    assert names(root) == real(root)


def test_refresh_lists_anew_and_stores_the_new_list(root, monkeypatch):
    """On a file system that keeps no times, a change cannot be noticed."""
    monkeypatch.setattr(image_folder, "_stamp", lambda path: (0, 0, 0, 0))
    before = names(root)
    (root / "a" / "x" / "new.jpg").touch()
    assert names(root) == before
    assert names(root, refresh=True) == real(root)
    assert not is_scanned(root, monkeypatch)
    assert names(root) == real(root)


def test_refresh_forgets_a_list_even_where_the_new_one_cannot_be_stored(root, monkeypatch):
    monkeypatch.setattr(image_folder, "_stamp", lambda path: (0, 0, 0, 0))
    names(root)
    (root / "a" / "x" / "new.jpg").touch()
    with monkeypatch.context() as patch:
        patch.setattr(image_folder, "remember", lambda *_: None)
        names(root, refresh=True)
    assert names(root) == real(root)


def test_read_folder_takes_refresh(root, photos, monkeypatch):
    for path in root.rglob("*.jpg"):
        path.write_bytes(b"")
    loader_of(dc.read_folder, root)
    assert not is_scanned(root, monkeypatch)
    assert is_scanned(root, monkeypatch, refresh=True)
    assert loader_of(dc.read_folder, root, refresh=True).num_samples == 12


# An entry is input


SOUND = b"".join(b"a/x/%d.jpg 0\n" % number for number in range(12))
POISONED = {
    "above the root": SOUND.replace(b"a/x/3.jpg", b"a/../../3.jpg"),
    "above the root at once": SOUND.replace(b"a/x/0.jpg", b"../0.jpg"),
    "another folder": SOUND.replace(b"a/x/3.jpg", b"/etc/passwd"),
    "another folder at once": SOUND.replace(b"a/x/0.jpg", b"/etc/passwd"),
    "the folder above": SOUND.replace(b"a/x/3.jpg", b".."),
    "a label too large": SOUND.replace(b"3.jpg 0", b"3.jpg 2"),
    "a label below zero": SOUND.replace(b"3.jpg 0", b"3.jpg -1"),
    "a label that is none": SOUND.replace(b"3.jpg 0", b"3.jpg x"),
    "a label of 30 digits": SOUND.replace(b"3.jpg 0", b"3.jpg " + b"1" * 30),
    "no label": SOUND.replace(b"3.jpg 0", b"3.jpg"),
    "an image less": SOUND.replace(b"a/x/3.jpg 0\n", b""),
    "an image more": SOUND + b"a/x/12.jpg 0\n",
    "cut off": SOUND[:-1],
    "a NUL": SOUND.replace(b"3.jpg", b"3\0jpg"),
    "nothing": b"",
}


def entry_with(root, lines, below=None):
    """Store lines as the list of a folder, with the right stamps and digest."""
    names(root)
    (path,) = (root.parent / "cache" / "dali_cutmix" / "lists").iterdir()
    header = path.read_bytes().partition(b"\n")[0] + b"\n"
    below = {"images": 12, "folders": []} if below is None else below
    remember(cache_path("lists", str(root)), header, json.dumps(below).encode() + b"\n" + lines)


def test_an_entry_that_is_sound_is_believed(root):
    entry_with(root, SOUND)
    assert names(root) == [f"a/x/{number}.jpg" for number in range(12)] != real(root)


@pytest.mark.parametrize("case", POISONED)
def test_a_poisoned_entry_is_not_believed(root, case):
    assert POISONED[case] != SOUND
    entry_with(root, POISONED[case])
    assert names(root) == real(root)
    tally.count("bad")


OTHERS = [
    None,
    3,
    [],
    {},
    {"images": 12},
    {"images": "12", "folders": []},
    {"images": 12, "folders": [["/gone", 1, 2]]},
]
OTHERS += [{"images": 12, "folders": odd} for odd in ([5], [[5]], [["a\0b", 1]], [[]], None)]


@pytest.mark.parametrize("below", OTHERS, ids=range(len(OTHERS)))
def test_an_entry_with_other_stamps_is_not_believed(root, below):
    entry_with(root, SOUND, [None] if below is None else below)
    assert names(root) == real(root)
    tally.count("bad")


def test_names_with_dots_are_sound():
    assert SampleList(b"a../..b/...jpg 1\n5 6.jpg 0\nx.. 1\n").is_sound(2)

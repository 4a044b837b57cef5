"""Folders of classes with folders in them: the samples of torchvision's ``ImageFolder``, in its order."""

import os
import time
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.datasets import ImageFolder

import dali_cutmix as dc
from dali_cutmix.check import main as check
from dali_cutmix.sources import class_folders, image_folder, scan_folder
from pipelines import imagenet
from tests.helpers.images import save
from tests.helpers.loaders import epoch_of, flat, loader_of
from tests.helpers.packing import pack


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def listed(root):
    """Paths and labels, as ``ImageFolder`` has them."""
    files, labels, _ = scan_folder(root)
    return [(os.path.join(root, file), label) for file, label in zip(files, labels, strict=True)]


FOLDERS = st.lists(st.sampled_from(["a", "B", "a-b", "a.b", "a b", "é", "x.jpg", "0"]), max_size=3).map("/".join)
NAMES = st.sampled_from(["1.jpg", "10.JPEG", "2.PnG", "z.webp", ".h.jpg", "a.tif", "notes.txt", "boxes", "a-b.jpg"])


@given(st.dictionaries(st.sampled_from(["cat", "dog", "Ant", "b e"]), st.sets(st.tuples(FOLDERS, NAMES)), min_size=1))
def test_any_tree_has_image_folders_classes_samples_and_order(tmp_path_factory, tree):
    root = tmp_path_factory.mktemp("tree")
    for name, files in tree.items():
        touch(root / name / "1.jpg", *(root / name / folder / file for folder, file in files))
    theirs = ImageFolder(str(root))
    assert scan_folder(root)[2] == theirs.classes
    assert listed(str(root)) == theirs.samples


def test_links_to_folders_and_files_are_followed_as_image_folder_does(tmp_path):
    touch(tmp_path / "store" / "a" / "1.jpg", tmp_path / "store" / "a" / "deep" / "2.jpg")
    touch(tmp_path / "data" / "cat" / "0.jpg", tmp_path / "data" / "dog" / "0.jpg")
    (tmp_path / "data" / "cat" / "more").symlink_to(tmp_path / "store", target_is_directory=True)
    (tmp_path / "data" / "cat" / "again").symlink_to("../../store/a", target_is_directory=True)
    (tmp_path / "data" / "dog" / "9.jpg").symlink_to(tmp_path / "store" / "a" / "1.jpg")
    (tmp_path / "data" / "emu").symlink_to(tmp_path / "store", target_is_directory=True)
    assert len(listed(str(tmp_path / "data"))) == 9
    assert listed(str(tmp_path / "data")) == ImageFolder(str(tmp_path / "data")).samples


def test_a_graph_reads_nested_images_with_their_labels(tmp_path):
    for level, name in enumerate(["cat/1.png", "cat/x/2.png", "cat/x/y/3.png", "dog/z/4.png"]):
        save(np.full((8, 8, 3), 50 * level, np.uint8), tmp_path / name)
    loader = imagenet.val(tmp_path, batch_size=4, size=8, resize=8, device="cpu", mean=(50, 50, 50), std=(50, 50, 50))
    ((images, labels),) = loader
    assert labels.tolist() == [0, 0, 0, 1]
    assert (images[:, 0, 0, 0] + 1).tolist() == [0, 1, 2, 3]


def test_folders_with_a_dot_before_their_name_are_left_out_at_any_depth(tmp_path):
    """Notebooks and viewers of photographs keep copies there."""
    touch(tmp_path / "cat" / "1.jpg", tmp_path / "cat" / ".thumbnails" / "1.jpg", tmp_path / ".trash" / "1.jpg")
    touch(tmp_path / "cat" / "x" / ".ipynb_checkpoints" / "1.jpg", tmp_path / "cat" / "x" / ".2.jpg")
    assert scan_folder(tmp_path) == (["cat/1.jpg", "cat/x/.2.jpg"], [0, 0], ["cat"])


def test_an_empty_folder_that_is_named_like_an_image_is_a_bad_file(tmp_path):
    touch(tmp_path / "cat" / "1.jpg")
    (tmp_path / "cat" / "0.jpg").mkdir()
    (tmp_path / "cat" / "empty").mkdir()
    assert scan_folder(tmp_path)[0] == ["cat/0.jpg", "cat/1.jpg"]


@pytest.mark.parametrize("target", ["..", ".", "../../cat", "../../../outside"])
def test_a_link_that_leads_back_into_itself_is_named(tmp_path, target):
    touch(tmp_path / "data" / "cat" / "x" / "1.jpg", tmp_path / "outside" / "1.jpg")
    (tmp_path / "outside" / "back").symlink_to(tmp_path / "data" / "cat", target_is_directory=True)
    (tmp_path / "data" / "cat" / "x" / "link").symlink_to(target, target_is_directory=True)
    with pytest.raises(ValueError, match=r"cat/x/link\S*: a link to \S+, which holds this link itself.*[Rr]emove"):
        scan_folder(tmp_path / "data")


def test_a_link_to_nowhere_inside_a_class_may_hide_a_folder_and_is_named(tmp_path):
    touch(tmp_path / "cat" / "1.jpg")
    (tmp_path / "cat" / "more").symlink_to("nowhere")
    with pytest.raises(ValueError, match="cat/more: a broken link; fix or remove it"):
        scan_folder(tmp_path)


def test_a_class_whose_folders_hold_no_image_is_named(tmp_path):
    touch(tmp_path / "cat" / "1.jpg", tmp_path / "dog" / "x" / "readme.txt")
    with pytest.raises(ValueError, match=r"dog: no image in this class folder or below it .*remove the folder"):
        scan_folder(tmp_path)


# What is not a folder of classes


@pytest.mark.parametrize("parts", [("train", "val"), ("Train", "Test", "valid"), ("train",)])
def test_the_folder_above_train_and_val_is_refused(tmp_path, parts):
    touch(*(tmp_path / part / name / "1.jpg" for part in parts for name in ("cat", "dog")))
    told = (
        rf"holds {', '.join(sorted(parts))}, each with folders of its own: .*give one of them, such as \S+/{parts[0]}"
    )
    with pytest.raises(ValueError, match=told):
        scan_folder(tmp_path)


def test_train_and_test_are_classes_where_they_hold_images_with_a_warning(tmp_path):
    touch(tmp_path / "train" / "1.jpg", tmp_path / "test" / "1.jpg")
    with pytest.warns(UserWarning, match=r"test, train, are read as classes; if they are parts of .*read_csv"):
        assert scan_folder(tmp_path)[2] == ["test", "train"]


def test_images_without_class_folders_are_refused_with_the_ways_to_read_them(tmp_path):
    touch(tmp_path / "1.jpg", tmp_path / "2.png")
    told = r"it holds images but no subfolders; expected .* CSV file .* dc\.read_csv, .* list .* dc\.read_files"
    with pytest.raises(ValueError, match=told):
        scan_folder(tmp_path)


def test_images_beside_the_class_folders_are_left_out_with_a_warning(tmp_path):
    touch(tmp_path / "cat" / "1.jpg", tmp_path / "dog" / "1.jpg", tmp_path / "0.jpg", tmp_path / "00.png")
    with pytest.warns(
        UserWarning, match=r"images beside the class folders are not read \(2, such as 0\.jpg\); move them"
    ):
        assert scan_folder(tmp_path)[0] == ["cat/1.jpg", "dog/1.jpg"]
    assert len(ImageFolder(str(tmp_path)).samples) == 2


def test_one_folder_called_images_is_one_class_with_a_warning(tmp_path):
    touch(tmp_path / "images" / "1.jpg", tmp_path / "images" / "2.jpg", tmp_path / "labels.csv")
    with pytest.warns(UserWarning, match=r"its only subfolder, images, is read as one class; .*read_csv"):
        assert scan_folder(tmp_path)[1] == [0, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        touch(tmp_path / "other" / "1.jpg")
        scan_folder(tmp_path)


# The cached list


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """A folder of 12 nested images that count as many, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(image_folder, "WORTH_REMEMBERING", 10)
    monkeypatch.setattr(image_folder, "_SETTLED", -60.0)
    for number in range(12):
        touch(tmp_path / "data" / "ab"[number % 2] / "x" / "y" / f"{number}.jpg")
    (tmp_path / "data" / "a" / "empty").mkdir()
    return tmp_path / "data"


CHANGES = {
    "an image more": lambda root: touch(root / "a" / "x" / "y" / "new.jpg"),
    "an image less": lambda root: (root / "b" / "x" / "y" / "1.jpg").unlink(),
    "an image in a folder that was empty": lambda root: touch(root / "a" / "empty" / "1.jpg"),
    "a folder more": lambda root: touch(root / "a" / "x" / "z" / "1.jpg"),
    "another name of a folder": lambda root: (root / "a" / "x" / "y").rename(root / "a" / "x" / "w"),
    "a folder moved away": lambda root: (root / "a" / "x").rename(root.parent / "away"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_in_a_nested_folder_is_noticed(cached, change):
    (cached / "a" / "2.jpg").touch()
    before = loader_of(dc.read_folder, cached, shuffle=False).state_dict()
    assert list((cached.parent / "cache" / "dali_cutmix" / "lists").iterdir())
    time.sleep(0.02)
    CHANGES[change](cached)
    labels = flat(epoch_of(loader_of(dc.read_folder, cached, shuffle=False)))
    assert labels == [label for _, label in ImageFolder(str(cached)).samples]
    with pytest.raises(ValueError, match="files"):
        loader_of(dc.read_folder, cached, shuffle=False).load_state_dict(before)


def test_a_nested_folder_that_did_not_change_is_not_scanned_again(cached, monkeypatch):
    first, _ = image_folder.list_folders([str(cached)])
    with monkeypatch.context() as patch:
        patch.setattr(class_folders, "walk", None)
        again, _ = image_folder.list_folders([str(cached)])
    assert again.content == first.content


# The commands


def test_nested_images_are_packed_and_read_in_the_folders_order(tmp_path, photos):
    for number, name in enumerate(["cat/1.jpg", "cat/x/0.jpg", "dog/x/y/1.jpg", "dog/z/1.jpg"]):
        save(photos[0][20 * number :][:64, :64], tmp_path / "data" / name)
    assert pack(tmp_path / "data", tmp_path / "packed", workers=1, short_side=64, quality=100) == 0
    folder, packed = (
        imagenet.val(root, batch_size=4, size=64, resize=64, device="cpu")
        for root in (tmp_path / "data", tmp_path / "packed")
    )
    assert packed.classes == folder.classes == ("cat", "dog")
    ((images, labels),), ((others, same),) = folder, packed
    assert labels.tolist() == same.tolist()
    assert (images - others).abs().mean() < 0.1, "the JPEGs were encoded anew"


def test_a_bad_file_in_a_nested_folder_is_checked_and_named(tmp_path, capfd):
    save(Image.new("RGB", (8, 8)), tmp_path / "cat" / "1.jpg")
    touch(tmp_path / "cat" / "x" / "2.jpg")
    assert check([str(tmp_path)]) == 1
    assert f"{tmp_path / 'cat' / 'x' / '2.jpg'}: the file is empty" in capfd.readouterr().out

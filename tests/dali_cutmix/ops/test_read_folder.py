"""read_folder: a folder of classes, in sorted order, and folders that are refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from nvidia.dali import pipeline_def
from PIL import Image

import dali_cutmix as dc
from dali_cutmix.sources import EXTENSIONS, scan_folder
from tests.helpers.images import save


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.fsencode(path))  # so that its bytes say which file it is


def labels_and_paths(root, **reading):
    """What a graph that reads the folder delivers, one sample at a time."""

    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def graph():
        return dc.read_folder(root, **reading)

    pipe = graph()
    pipe.build()
    (reader,) = pipe.reader_meta().values()
    folder = os.path.abspath(root)
    paths = {
        Path(place, name).read_bytes(): os.path.join(place, name)
        for place, _, names in os.walk(folder, followlinks=True)
        for name in names
    }
    found = []
    for _ in range(reader["epoch_size"]):
        jpegs, labels = pipe.run()
        found.append((labels.at(0).item(), paths[jpegs.at(0).tobytes()]))
    return found


def test_labels_follow_the_sorted_names_of_the_folders(tmp_path):
    for name in ("b/2.jpg", "b/1.jpg", "a/9.JPEG", "a/10.png", "C/x.jpg"):
        touch(tmp_path / name)
    files, labels, classes = scan_folder(tmp_path)
    assert classes == ["C", "a", "b"]
    assert files == [
        os.path.join(*name.split("/")) for name in ("C/x.jpg", "a/10.png", "a/9.JPEG", "b/1.jpg", "b/2.jpg")
    ]
    assert labels == [0, 1, 1, 2, 2]


def test_it_is_torchvisions_image_folder(colour_folder):
    from torchvision.datasets import ImageFolder

    files, labels, classes = scan_folder(colour_folder)
    theirs = ImageFolder(str(colour_folder))
    assert classes == theirs.classes
    assert [(str(colour_folder / file), label) for file, label in zip(files, labels, strict=True)] == theirs.samples


def test_other_files_and_hidden_folders_are_left_out(tmp_path):
    for name in ("a/1.jpg", "a/readme.txt", "a/.DS_Store", ".cache/1.jpg", "list.csv", "b/1.webp"):
        touch(tmp_path / name)
    assert scan_folder(tmp_path) == (
        [os.path.join("a", "1.jpg"), os.path.join("b", "1.webp")],
        [0, 1],
        ["a", "b"],
    )


@pytest.mark.parametrize("extension", [".jpg", ".JPG", ".jpeg", ".png", ".bmp", ".webp"])
def test_these_are_images(tmp_path, extension):
    touch(tmp_path / "a" / f"1{extension}")
    assert extension.lower() in EXTENSIONS
    assert len(scan_folder(tmp_path)[0]) == 1


def test_names_may_hold_anything(tmp_path):
    names = ["a b/it's 1, 2.jpg", "übung/ß ✓.jpg", "x=y;z/#1.jpg"]
    for level, name in enumerate(names):
        save(Image.new("RGB", (8, 8), (9 * level,) * 3), tmp_path / name)
    found = labels_and_paths(tmp_path, shuffle=False)
    assert found == [(i, str(tmp_path / name)) for i, name in enumerate(sorted(names))]


def test_links_to_folders_and_relative_paths_work(tmp_path, monkeypatch):
    save(Image.new("RGB", (8, 8)), tmp_path / "real" / "1.jpg")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    assert labels_and_paths("data", shuffle=False) == [(0, str(tmp_path / "data" / "link" / "1.jpg"))]


def test_labels_belong_to_their_files_when_shuffled(colour_folder):
    found = labels_and_paths(colour_folder)
    assert len(set(found)) == 50
    assert all(f"class{label:02d}" in path for label, path in found)
    assert found != sorted(found)


# Bad input


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder; expected a folder with one subfolder"):
        labels_and_paths(tmp_path / "nowhere")


def test_a_file_is_no_folder(tmp_path):
    touch(tmp_path / "archive.tar")
    with pytest.raises(ValueError, match=r"archive\.tar: not a folder; expected a folder with one subfolder"):
        labels_and_paths(tmp_path / "archive.tar")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r": it is empty; expected a folder with one subfolder"):
        labels_and_paths(tmp_path)


def test_a_folder_of_images_without_classes_is_refused(tmp_path):
    touch(tmp_path / "1.jpg")
    with pytest.raises(ValueError, match=r": it holds images but no subfolders; expected a folder with one subfolder"):
        labels_and_paths(tmp_path)


def test_a_class_without_images_is_named(tmp_path):
    touch(tmp_path / "cat" / "1.jpg")
    touch(tmp_path / "dog" / "1.txt")
    with pytest.raises(
        ValueError, match=r"dog: no image in this class folder .*\.jpg.*add images or remove the folder"
    ):
        labels_and_paths(tmp_path)


def test_more_classes_than_announced_are_refused(colour_folder):
    with pytest.raises(ValueError, match=r"num_classes=11 given, but the data has 12 classes.*give at least 12"):
        labels_and_paths(colour_folder, num_classes=11)
    assert len(labels_and_paths(colour_folder, num_classes=12)) == 50


@pytest.mark.parametrize(
    "shard", [(2, 2), (-1, 2), (0, 0), (0, -1), (1, 1), 3, (0,), (0, 1, 2), (0.0, 2), "01"], ids=str
)
def test_an_impossible_shard_is_refused(colour_folder, shard):
    with pytest.raises(
        ValueError, match=r"shard=.* given; it is \(rank, world_size\) with 0 <= rank < world_size"
    ) as caught:
        labels_and_paths(colour_folder, shard=shard)
    assert repr(shard) in str(caught.value)


def test_more_shards_than_images_are_refused(numbered_folder):
    with pytest.raises(ValueError, match=r"5 images for 6 shards; every shard needs at least one"):
        labels_and_paths(numbered_folder(5), shard=(0, 6))


def test_outside_a_graph_it_says_where_it_belongs(colour_folder):
    with pytest.raises(RuntimeError, match=r"call them inside a function decorated with @nvidia\.dali\.pipeline_def"):
        dc.read_folder(colour_folder)


WITHOUT_DALI = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == "nvidia.dali":
            {error}

sys.meta_path.insert(0, Blocker())
import dali_cutmix
"""


def last_line_without_dali(error):
    """What the import of the library says last if that of DALI raises an error."""
    root = str(Path(dc.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DALI.replace("{error}", error)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert done.returncode == 1
    return done.stderr.strip().splitlines()[-1]


def test_a_dali_that_is_installed_and_cannot_be_loaded_is_not_called_missing():
    reason = "libstdc++.so.6: version `GLIBCXX_3.4.32' not found"
    assert last_line_without_dali(f"raise ImportError({reason!r})") == f"ImportError: {reason}"
    assert last_line_without_dali("raise ModuleNotFoundError('No module named six', name='six')").endswith("named six")


def test_without_dali_the_import_says_which_extra_to_install():
    last = last_line_without_dali('raise ModuleNotFoundError(f"No module named {name!r}", name=name)')
    assert last.startswith("ImportError: dali_cutmix needs NVIDIA DALI, which is not installed")
    assert "pip install 'dali_cutmix[cuda12]'" in last
    assert "pip install 'dali_cutmix[cuda13]'" in last

"""Tiny ImageNet as it is handed out: train by folders, val by its list of annotations."""

import numpy as np
import pytest

from dali_cutmix.check import main as check
from dali_cutmix.sources import image_folder, scan_folder
from pipelines import imagenet
from tests.helpers.images import save
from tests.helpers.packing import pack

WNIDS = ["n03444034", "n02124075", "n04067472"]
"""As in wnids.txt, which is not sorted."""


@pytest.fixture
def tiny(tmp_path):
    """Three classes; the pixels' level names the class, by its place in the sorted order."""
    root = tmp_path / "tiny-imagenet-200"
    level = {name: 60 * number for number, name in enumerate(sorted(WNIDS))}
    for name in WNIDS:
        for number in range(2):
            image = np.full((8, 8, 3), level[name], np.uint8)
            save(image, root / "train" / name / "images" / f"{name}_{number}.JPEG")
        (root / "train" / name / f"{name}_boxes.txt").write_text(f"{name}_0.JPEG\t0\t0\t7\t7\n")
    lines = []
    for number in range(7):
        name = WNIDS[number % 3]
        save(np.full((8, 8, 3), level[name], np.uint8), root / "val" / "images" / f"val_{number}.JPEG")
        lines.append(f"val_{number}.JPEG\t{name}\t0\t1\t7\t7\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    (root / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    return root


def labels_and_levels(root):
    loader = imagenet.val(root, batch_size=20, size=8, resize=8, device="cpu", mean=(30, 30, 30), std=(60, 60, 60))
    ((images, labels),) = loader
    return loader.classes, labels.tolist(), (images[:, 0, 0, 0] + 0.5).round().int().tolist()


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("wnids", [True, False])
def test_train_and_val_have_the_same_classes_in_the_same_order(tiny, part, wnids):
    if not wnids:
        (tiny / "wnids.txt").unlink()
    classes, labels, levels = labels_and_levels(tiny / part)
    assert classes == tuple(sorted(WNIDS))
    assert labels == levels == {"train": [0, 0, 1, 1, 2, 2], "val": [0, 0, 1, 1, 1, 2, 2]}[part]


def test_val_has_trains_labels_where_it_lacks_a_class(tiny):
    annotations = tiny / "val" / "val_annotations.txt"
    kept = [line for line in annotations.read_text().splitlines(keepends=True) if WNIDS[1] not in line]
    annotations.write_text("".join(kept))
    for number in (1, 4):
        (tiny / "val" / "images" / f"val_{number}.JPEG").unlink()
    classes, labels, levels = labels_and_levels(tiny / "val")
    assert (len(classes), labels) == (3, levels)


def test_val_beside_train_is_one_data_set(tiny):
    classes, labels, levels = labels_and_levels([tiny / "train", tiny / "val"])
    assert classes == tuple(sorted(WNIDS))
    assert len(labels) == 13
    assert labels == levels


def test_val_is_checked_and_packed(tiny, tmp_path, capfd):
    assert check([str(tiny / "val")]) == 0
    assert "7 images checked, 0 of them bad" in capfd.readouterr().out
    assert pack(tiny / "val", tmp_path / "packed", workers=1) == 0
    assert labels_and_levels(tmp_path / "packed") == labels_and_levels(tiny / "val")


def test_val_that_was_sorted_into_class_folders_is_read_as_such(tiny):
    for line in (tiny / "val" / "val_annotations.txt").read_text().splitlines():
        file, name, *_ = line.split("\t")
        (tiny / "val" / name / "images").mkdir(parents=True, exist_ok=True)
        (tiny / "val" / "images" / file).rename(tiny / "val" / name / "images" / file)
    (tiny / "val" / "images").rmdir()
    classes, labels, levels = labels_and_levels(tiny / "val")
    assert (classes, labels) == (tuple(sorted(WNIDS)), levels)


def test_the_folder_of_all_parts_is_refused(tiny):
    with pytest.raises(ValueError, match=r"holds train, val, .* give one of them, such as \S+/train"):
        scan_folder(tiny)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("val_0.JPEG\n", r"val_annotations\.txt, line 8: 'val_0\.JPEG' given; expected a file name, a tab and a class"),
        ("val_9.JPEG\tn03444034\t0\t0\t1\t1\n", r"line 8: val_9\.JPEG is not in \S+/images; .*remove the line"),
        ("val_0.JPEG\tn02124075\t0\t0\t1\t1\n", r"line 8: val_0\.JPEG again; .*line 1"),
        ("val_7.JPEG\tn99999999\t0\t0\t1\t1\n", r"line 8: class n99999999 is not in \S+/wnids\.txt"),
    ],
)
def test_a_damaged_list_is_refused_with_the_line(tiny, line, told):
    save(np.zeros((8, 8, 3), np.uint8), tiny / "val" / "images" / "val_7.JPEG")
    with (tiny / "val" / "val_annotations.txt").open("a") as file:
        file.write(line)
    with pytest.raises(ValueError, match=told):
        scan_folder(tiny / "val")


def test_an_image_without_a_line_is_refused(tiny):
    save(np.zeros((8, 8, 3), np.uint8), tiny / "val" / "images" / "val_7.JPEG")
    with pytest.raises(
        ValueError, match=r"val/images: 1 of 8 images is in no line of val_annotations\.txt, such as val_7"
    ):
        scan_folder(tiny / "val")


def test_the_cached_list_notices_other_annotations(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(image_folder, "WORTH_REMEMBERING", 1)
    monkeypatch.setattr(image_folder, "_SETTLED", -60.0)
    first, _ = image_folder.list_folders([str(tiny / "val")])
    again, _ = image_folder.list_folders([str(tiny / "val")])
    assert again.content == first.content
    annotations = tiny / "val" / "val_annotations.txt"
    annotations.write_text(annotations.read_text().replace(WNIDS[0], WNIDS[1]))
    changed, classes = image_folder.list_folders([str(tiny / "val")])
    assert classes == tuple(sorted(WNIDS))
    assert [changed.label(number) for number in range(7)] == [0, 0, 0, 0, 0, 2, 2]

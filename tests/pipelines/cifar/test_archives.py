"""CIFAR from its archives and folders: every pixel and label, as validation delivers them."""

import tarfile

import numpy as np
import pytest
import torchvision
from nvidia.dali import fn, pipeline_def

from dali_cutmix.sources import convert_cifar
from pipelines import cifar
from tests.helpers.cifar_archives import FORMS, HUNDRED, TEN, make_data, write_pickle
from tests.helpers.cifar_loaders import loader_of, seen


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("packed", [True, False], ids=["archive", "folder"])
def test_validation_sees_every_pixel_and_label_of_the_archive(forms, name, split, packed):
    data, root, archive = forms[name]
    images, labels = seen(archive if packed else root, split)
    np.testing.assert_array_equal(images, data[split][0])
    np.testing.assert_array_equal(labels, data[split][1])


@pytest.mark.parametrize("name", ["cifar-10-batches-py", "cifar-100-python"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_it_is_what_torchvision_reads(forms, name, split):
    _, root, archive = forms[name]
    base = torchvision.datasets.CIFAR10 if name == "cifar-10-batches-py" else torchvision.datasets.CIFAR100

    class Unchecked(base):
        train_list, test_list = ([(file, None) for file, _ in files] for files in (base.train_list, base.test_list))
        meta = base.meta | {"md5": None}

    theirs = Unchecked(root.parent, train=split == "train")
    images, labels = seen(archive, split)
    np.testing.assert_array_equal(images, theirs.data)
    assert labels.tolist() == theirs.targets
    assert loader_of(archive).classes == tuple(theirs.classes)


@pytest.mark.parametrize("name", FORMS)
def test_classes_have_their_names(forms, name):
    loader = loader_of(forms[name][2])
    assert loader.classes == (TEN if name.startswith("cifar-10-") else HUNDRED)
    assert loader.num_classes == len(loader.classes)


@pytest.mark.parametrize("name", FORMS)
def test_dalis_own_reader_reads_the_record_too(forms, name):
    data, _, archive = forms[name]
    record = convert_cifar(archive)

    @pipeline_def(batch_size=len(data["train"][1]), num_threads=1, device_id=None)
    def graph():
        files = {"path": [str(record / "train.rec")], "index_path": [str(record / "train.idx")]}
        encoded, labels = fn.readers.mxnet(**files)
        return fn.decoders.image(encoded), labels

    images, labels = graph().run()
    np.testing.assert_array_equal(images.as_array(), data["train"][0])
    np.testing.assert_array_equal(labels.as_array()[:, 0], data["train"][1])


def test_pixels_that_python_2_stored_column_by_column_are_read_right(folder):
    root = folder("cifar-100-python")
    data = make_data("cifar-100-python")
    for split, file in {"train": "train", "val": "test"}.items():
        rows = np.asfortranarray(data[split][0].transpose(0, 3, 1, 2).reshape(-1, 3072))
        write_pickle(root / file, {b"data": rows, b"fine_labels": data[split][1].tolist()})
    np.testing.assert_array_equal(seen(root, "val")[0], data["val"][0])


@pytest.mark.parametrize("name", FORMS)
def test_the_forms_are_known_by_their_names_and_by_what_is_in_them(forms, name, tmp_path):
    _, root, archive = forms[name]
    renamed = tmp_path / "mine.tgz"
    renamed.write_bytes(archive.read_bytes())
    moved = tmp_path / "mine"
    moved.symlink_to(root)
    for path in (archive, str(archive), root, str(root), renamed, moved, tmp_path / "missing" / FORMS[name]):
        assert cifar.is_cifar(path), path
    np.testing.assert_array_equal(seen(renamed, "val")[0], seen(moved, "val")[0])


def test_what_is_no_cifar_is_not_taken_for_it(tmp_path, photo_folder):
    (tmp_path / "meta").touch()
    (tmp_path / "train").mkdir()
    (tmp_path / "notes.txt").write_text("train")
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "notes.txt", "meta/train")
    for path in (tmp_path, photo_folder, tmp_path / "missing", *tmp_path.iterdir()):
        assert not cifar.is_cifar(path), path

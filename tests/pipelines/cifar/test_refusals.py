"""Damaged or malicious CIFAR archives are refused by name, and none of their code runs."""

import os
import pickle
import tarfile

import numpy as np
import pytest

from dali_cutmix.sources import convert_cifar
from dali_cutmix.sources.cifar import archive
from pipelines import cifar
from tests.helpers import tally
from tests.helpers.cifar_archives import FORMS, pack, write_pickle
from tests.helpers.cifar_loaders import seen

SITE = "https://www.cs.toronto.edu/~kriz/cifar.html"


class Evil:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("file", ["data_batch_3", "batches.meta", "test_batch"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_an_archive_runs_no_code(folder, tmp_path, file, protocol):
    root = folder("cifar-10-batches-py")
    trace = tmp_path / "trace"
    content = pickle.dumps([Evil(os.mkdir, str(trace))], protocol)
    pickle.loads(content)
    trace.rmdir()  # as pickle itself would have it
    (root / file).write_bytes(content)
    told = rf"python\.tar\.gz: {file} is damaged or not a file of CIFAR \(it asks for posix\.mkdir"
    with pytest.raises(ValueError, match=told):
        convert_cifar(pack(root))
    assert not trace.exists()
    tally.count("bad")


@pytest.mark.parametrize(
    "evil", [Evil(eval, "1"), Evil(np.load, "x"), Evil(np.array, [1]), Evil(getattr, "x", "upper"), Evil(np.dtype, "O")]
)
def test_a_pickle_may_ask_for_nothing_but_an_array_of_pixels(folder, evil):
    root = folder("cifar-100-python")
    (root / "train").write_bytes(pickle.dumps({b"data": evil, b"fine_labels": [1]}, 4))
    with pytest.raises(ValueError, match="train is damaged or not a file of CIFAR"):
        convert_cifar(root)
    tally.count("bad")


def test_an_array_of_objects_is_refused_and_never_made(folder):
    root = folder("cifar-100-python")
    objects = np.array([[None] * 3072], object)
    write_pickle(root / "train", {b"data": objects, b"fine_labels": [1]})
    with pytest.raises(ValueError, match=r"train is damaged or not a file of CIFAR \(its data are not N×3072 uint8\)"):
        convert_cifar(root)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9, 0.9999])
def test_a_truncated_archive_is_named(folder, name, share, cache):
    archive = pack(folder(name))
    os.truncate(archive, int(archive.stat().st_size * share))
    with pytest.raises(
        ValueError, match=rf"{archive.name}: damaged or truncated \(.*\); download it again from {SITE}"
    ):
        convert_cifar(archive)
    assert cifar.is_cifar(archive)
    assert not cache.exists()
    tally.count("bad")


@pytest.mark.parametrize("place", [0.3, 0.6, 0.95])
def test_flipped_bits_in_an_archive_are_noticed(folder, place):
    archive = pack(folder("cifar-10-batches-bin"))
    content = bytearray(archive.read_bytes())
    content[int(len(content) * place)] ^= 0x10
    archive.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{archive.name}: damaged or truncated"):
        convert_cifar(archive)
    tally.count("bad")


def test_noise_in_a_pickle_is_named_whatever_it_makes_of_it(folder):
    root, rng = folder("cifar-10-batches-py", per_file=1), np.random.default_rng(0)
    good = (root / "data_batch_2").read_bytes()
    for _ in range(200):
        content = bytearray(good)
        for at in rng.integers(0, len(content) if rng.random() < 0.5 else 120, 3):
            content[at] = rng.integers(256)
        (root / "data_batch_2").write_bytes(content)
        try:
            list(archive.Cifar(root).images("train"))
        except ValueError as error:
            assert "data_batch_2 is damaged or not a file of CIFAR (" in str(error)  # noqa: PT017  (other pixels are none)
        tally.count("bad")


def test_an_archive_of_something_else_says_what_is_wanted(tmp_path):
    (tmp_path / "notes.txt").write_text("train")
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "notes.txt", "meta/train")
    (tmp_path / "other").mkdir()
    for name in ("other.tar.gz", "other"):
        told = rf"{name}: no CIFAR in it; expected cifar-10-python\.tar\.gz, .* from {SITE}, or the folder that one"
        with pytest.raises(ValueError, match=told):
            convert_cifar(tmp_path / name)
    with pytest.raises(ValueError, match=r"notes\.txt: damaged or truncated \(.*\)"):
        convert_cifar(tmp_path / "notes.txt")
    with pytest.raises(FileNotFoundError, match=rf"gone\.tar\.gz: no such file or folder; expected .*{SITE}"):
        convert_cifar(tmp_path / "gone.tar.gz")


MISSING = {"cifar-10-batches-py": "data_batch_4", "cifar-10-batches-bin": "test_batch.bin", "cifar-100-python": "train"}


@pytest.mark.parametrize(("name", "file"), MISSING.items())
@pytest.mark.parametrize("packed", [True, False], ids=["archive", "folder"])
def test_a_missing_file_is_named(folder, name, file, packed):
    root = folder(name)
    (root / file).unlink()
    path = pack(root) if packed else root
    with pytest.raises(FileNotFoundError, match=rf"{path.name}: it has no {file}; download it again from {SITE}"):
        convert_cifar(path)
    tally.count("bad")


def spoiled_pickle(**changes):
    batch = {b"data": np.zeros((3, 3072), np.uint8), b"fine_labels": [1, 2, 3]}
    batch |= {name.encode(): value for name, value in changes.items()}
    return {name: value for name, value in batch.items() if value is not None}


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        (spoiled_pickle(fine_labels=[1, 2]), "3 images, 2 labels"),
        (spoiled_pickle(fine_labels=[1, 2, 100]), "a label is 100; allowed are 0 to 99"),
        (spoiled_pickle(fine_labels=[1, -2, 3]), "a label is -2; allowed are 0 to 99"),
        (spoiled_pickle(fine_labels=[1, 2.5, 3]), "its labels are not whole numbers"),
        (spoiled_pickle(fine_labels=["a", "b", "c"]), "its labels are not whole numbers"),
        (spoiled_pickle(fine_labels=None), "it has no fine_labels"),
        (spoiled_pickle(data=None), "it has no data"),
        (spoiled_pickle(data=np.zeros((3, 3071), np.uint8)), "its data are not N×3072 uint8"),
        (spoiled_pickle(data=np.zeros((3, 3072), np.int8)), "its data are not N×3072 uint8"),
        (spoiled_pickle(data=np.zeros((3, 32, 96), np.uint8)), "its data are not N×3072 uint8"),
        (spoiled_pickle(data=[[0] * 3072] * 3), "its data are not N×3072 uint8"),
        (spoiled_pickle(data=np.zeros((0, 3072), np.uint8), fine_labels=[]), "it has no images"),
        ([1, 2, 3], "it does not hold a dict"),
    ],
)
def test_a_batch_that_is_not_as_it_should_be_is_named(folder, batch, told):
    root = folder("cifar-100-python")
    write_pickle(root / "train", batch)
    with pytest.raises(
        ValueError, match=rf"train is damaged or not a file of CIFAR \({told}\); download it again from"
    ):
        convert_cifar(root)
    tally.count("bad")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (bytes(3074 * 2 + 1), "6149 bytes, not a multiple of 3074"),
        (b"", "it has no images"),
        (b"\x00\x64" + bytes(3072), "a label is 100; allowed are 0 to 99"),
    ],
)
def test_a_binary_file_that_is_not_as_it_should_be_is_named(folder, content, told):
    root = folder("cifar-100-binary")
    (root / "test.bin").write_bytes(content)
    with pytest.raises(ValueError, match=rf"test\.bin is damaged or not a file of CIFAR \({told}\); download it again"):
        convert_cifar(pack(root))
    tally.count("bad")


@pytest.mark.parametrize("names", [b"", b"\n\n", b"\xff\xfe\n"])
def test_names_that_are_none_are_refused(folder, names):
    root = folder("cifar-10-batches-bin")
    (root / "batches.meta.txt").write_bytes(names)
    with pytest.raises(ValueError, match=r"batches\.meta\.txt is damaged or not a file of CIFAR \("):
        convert_cifar(root)


@pytest.mark.parametrize("split", ["test", "Train", None])
def test_a_wrong_split_is_refused(forms, split):
    with pytest.raises(ValueError, match=rf"split={split!r} given; allowed are 'train' and 'val'"):
        seen(forms["cifar-10-batches-py"][2], split)

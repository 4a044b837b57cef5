"""CIFAR is converted to a record once, and whole: also where the conversion is killed or the disk is full."""

import multiprocessing
import os
import signal
import tarfile

import pytest

from dali_cutmix.sources import convert_cifar
from dali_cutmix.sources.cifar import record
from tests.helpers import tally
from tests.helpers.cifar_archives import pack
from tests.helpers.cifar_loaders import seen


def test_it_is_converted_once(forms, monkeypatch, cache):
    archive = forms["cifar-10-batches-bin"][2]
    first = convert_cifar(archive)
    monkeypatch.setattr(tarfile, "open", None)
    assert convert_cifar(archive) == first
    assert first.parent == cache
    assert {path.name for path in first.iterdir()} == {"classes.json", "train.idx", "train.rec", "val.idx", "val.rec"}


@pytest.mark.parametrize("packed", [True, False], ids=["archive", "folder"])
def test_another_archive_at_the_same_path_is_converted_anew(folder, packed):
    root = folder("cifar-100-binary")
    path = pack(root) if packed else root
    before = seen(path, "val")[0]
    changed = (root / "test.bin").read_bytes()[::-1]
    (root / "test.bin").write_bytes(bytes(b % 100 if i % 3074 < 2 else b for i, b in enumerate(changed)))
    if packed:
        pack(root)
    after = seen(path, "val")[0]
    assert (after != before).any()
    assert before.shape == after.shape


def test_two_processes_at_once_make_one_record(forms, cache):
    archive = forms["cifar-10-batches-py"][2]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        first, second = pool.map(convert_cifar, [archive] * 2, chunksize=1)
    assert first == second
    assert list(cache.iterdir()) == [first]


def test_a_killed_conversion_leaves_nothing_half(forms, monkeypatch, cache):
    archive = forms["cifar-10-batches-bin"][2]

    def killed(path, samples):
        path.write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    def convert():
        monkeypatch.setattr(record, "write_recordio", killed)
        convert_cifar(archive)

    process = multiprocessing.get_context("fork").Process(target=convert)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not [path for path in cache.iterdir() if not path.name.startswith(".")]
    assert len(seen(archive, "train")[0]) == 30
    tally.count("kills")


def test_a_cache_that_cannot_be_written_says_where_and_what_to_do(forms, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    told = (
        r"binary\.tar\.gz: the converted archive cannot be written \(.*\); free some space, or set XDG_CACHE_HOME"
        ".*file/dali_cutmix"
    )
    with pytest.raises(OSError, match=told):
        convert_cifar(forms["cifar-10-batches-bin"][2])


def test_a_full_disk_leaves_nothing(forms, monkeypatch, cache):
    def full(path, samples):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record, "write_recordio", full)
    with pytest.raises(OSError, match="No space left on device"):
        convert_cifar(forms["cifar-10-batches-bin"][2])
    assert list(cache.iterdir()) == []

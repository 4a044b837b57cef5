"""Compressed files of samples: refused with the command that unpacks them."""

import bz2
import gzip
import lzma
import re
import shutil
import subprocess
from functools import partial

import pytest

import dali_cutmix as dc
from dali_cutmix.check import main as check
from tests.helpers import tally
from tests.helpers.record_loaders import delivered
from tests.helpers.records import write_recordio, write_tfrecord, write_webdataset


def command_of(error):
    return re.search(r"Run (.*) and give the file that it writes\.$", str(error.value))[1]


@pytest.mark.parametrize("name", ["train-000.tar.gz", "a b's.tgz", "train-000.tar", "train.gz"])
def test_the_command_that_is_shown_unpacks_a_tar(tmp_path, samples, name):
    (tar, *_) = write_webdataset(tmp_path / "data", samples, 30, index=False)
    packed = tmp_path / name
    packed.write_bytes(gzip.compress(tar.read_bytes()))
    with pytest.raises(
        ValueError, match=rf"{re.escape(name)}: compressed by gzip; samples are read by their places"
    ) as error:
        delivered(partial(dc.read_webdataset, packed))
    subprocess.run(command_of(error), shell=True, check=True)
    (made,) = set(tmp_path.iterdir()) - {packed, tmp_path / "data"}
    assert delivered(partial(dc.read_webdataset, made)) == samples
    tally.count("bad")


ZSTD = b"\x28\xb5\x2f\xfd"
COMPRESSED = {
    ".tar.bz2": ("bzip2", bz2.compress),
    ".tar.xz": ("xz", lzma.compress),
    ".tar.zst": ("zstd", lambda content: ZSTD + content),
    ".tar.lz4": ("lz4", lambda content: b"\x04\x22\x4d\x18" + content),
}


@pytest.mark.parametrize("ending", COMPRESSED)
def test_the_tool_is_the_one_that_compressed(tmp_path, samples, ending):
    (tar, *_) = write_webdataset(tmp_path, samples, 30, index=False)
    tool, compress = COMPRESSED[ending]
    packed = tmp_path / f"x{ending}"
    packed.write_bytes(compress(tar.read_bytes()))
    with pytest.raises(ValueError, match=rf"compressed by {tool}; ") as error:
        delivered(partial(dc.read_webdataset, packed))
    assert command_of(error) == f"{tool} -dc {packed} > {tmp_path}/x.tar"
    if ending != ".tar.zst" and ending != ".tar.lz4" and shutil.which(tool):
        subprocess.run(command_of(error), shell=True, check=True)
        assert delivered(partial(dc.read_webdataset, tmp_path / "x.tar")) == samples


def test_a_pattern_that_matches_compressed_shards_is_refused(tmp_path, samples):
    for tar in write_webdataset(tmp_path, samples, 9, index=False):
        tar.with_name(f"{tar.name}.gz").write_bytes(gzip.compress(tar.read_bytes()))
        tar.unlink()
    with pytest.raises(ValueError, match=r"train-000\.tar\.gz: compressed by gzip"):
        delivered(partial(dc.read_webdataset, str(tmp_path / "train-{000..002}.tar.gz")))


@pytest.mark.parametrize("kind", ["tfrecord", "recordio"])
def test_other_compressed_records_are_refused_too(tmp_path, samples, kind):
    if kind == "tfrecord":
        (path,) = write_tfrecord(tmp_path, samples, 30, index=False)
    else:
        path = write_recordio(tmp_path, samples, index=False)
    path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(ValueError, match=r"\.gz: compressed by gzip") as error:
        delivered(partial({"tfrecord": dc.read_tfrecord, "recordio": dc.read_recordio}[kind], path.with_suffix(".gz")))
    assert command_of(error).endswith(f"> {path.with_suffix('')}")


def test_an_archive_beside_class_folders_does_not_make_them_shards(tmp_path, photo_folder, capfd):
    shutil.copytree(photo_folder, tmp_path / "data")
    (tmp_path / "data" / "all.tar.gz").write_bytes(gzip.compress(b""))
    (tmp_path / "data" / "all.tar.gz.md5").write_text("0")
    assert check([str(tmp_path / "data")]) == 0
    assert "24 images checked" in capfd.readouterr().out


@pytest.mark.parametrize("folder", [True, False])
def test_the_check_refuses_them_too(tmp_path, samples, capfd, folder):
    (tar, *_) = write_webdataset(tmp_path, samples, 30, index=False)
    packed = tmp_path / "train-000.tar.gz"
    packed.write_bytes(gzip.compress(tar.read_bytes()))
    tar.unlink()
    assert check([str(tmp_path if folder else packed)]) == 2
    assert f"{packed}: compressed by gzip; " in capfd.readouterr().err

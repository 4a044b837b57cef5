"""Paths that cannot be read: addresses, NULs, odd text; each verb refuses them in words, with the path."""

import os
import subprocess
import sys
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import dali_cutmix as dc
from dali_cutmix.sources import csv_samples, list_folders, list_samples
from dali_cutmix.utils import local_files
from pipelines import imagenet
from tests.helpers import ROOT, tally
from tests.helpers.images import save
from tests.helpers.loaders import loader_of

SCHEMES = ["gs", "http", "https", "az", "file", "hdfs", "abfs+x", "S3"]
TOLD = "given; files are read from this machine: download them, or mount what they are on, and give their path"
RECORDS = {
    "read_folder": lambda path: (dc.read_folder, path),
    "read_folder of several": lambda path: (dc.read_folder, ["data", path]),
    "read_webdataset": lambda path: (dc.read_webdataset, path),
    "read_tfrecord": lambda path: (dc.read_tfrecord, path),
    "read_recordio": lambda path: (dc.read_recordio, path),
    "read_files": lambda path: (dc.read_files, [(path, 0)]),
    "read_files without labels": lambda path: (dc.read_files, [path]),
}


@pytest.mark.parametrize("verb", RECORDS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_address_is_refused_with_what_to_do(verb, scheme):
    with pytest.raises(ValueError, match=rf"{verb.split()[0]}: {scheme.replace('+', '.')}://bucket/x {TOLD}"):
        loader_of(*RECORDS[verb](f"{scheme}://bucket/x"))
    tally.count("bad")


@pytest.mark.parametrize("verb", RECORDS)
@pytest.mark.parametrize("path", ["a\0b", "/a\0b", "\ud800"], ids=ascii)
def test_text_that_no_file_can_be_called_is_refused(verb, path):
    with pytest.raises(ValueError, match=r"given; it holds a NUL or half a character|cannot be read; rename it"):
        loader_of(*RECORDS[verb](path))
    tally.count("bad")


@pytest.mark.parametrize("path", [b"bytes", 5, None, [5], [None], ["x", 3.5]], ids=repr)
@pytest.mark.parametrize("verb", ["read_folder", "read_webdataset", "read_tfrecord", "read_recordio", "read_files"])
def test_what_is_no_path_is_refused(verb, path):
    with pytest.raises((TypeError, ValueError)):
        loader_of(getattr(dc, verb), path)


def test_a_name_that_is_too_long_is_a_missing_file(tmp_path):
    save(Image.new("RGB", (8, 8)), tmp_path / "1.jpg")
    names = [str(tmp_path / "1.jpg"), str(tmp_path / ("x" * 5000)), str(tmp_path / "/".join(["y" * 200] * 30))]
    read = partial(dc.read_files, [(name, 0) for name in names])
    with pytest.raises(dc.DecodeError, match="xxx"):
        list(imagenet.val(read, batch_size=3, size=8, resize=8, device="cpu"))
    with pytest.raises(OSError, match="File name too long|no such folder"):
        list_folders([names[1]])


def test_a_local_path_that_looks_like_an_address_is_read_as_a_local_file(tmp_path):
    save(Image.new("RGB", (8, 8)), tmp_path / "x:" / "1.jpg")
    read = partial(dc.read_files, [f"{tmp_path}/x://1.jpg"], max_bytes=10)
    with pytest.raises(dc.DecodeError, match=r"x://1\.jpg \(\d+ bytes, more than max_bytes=10\)"):
        list(imagenet.val(read, batch_size=1, size=8, resize=8, device="cpu"))
    tally.count("bad")


USUAL = (ValueError, TypeError, OSError)


@given(st.text(max_size=30) | st.text("./{}[]*?!$%~ :\\s3\0\n\ud800", max_size=12))
def test_any_text_gives_the_usual_errors(tmp_path_factory, text):
    os.chdir(tmp_path_factory.getbasetemp())
    for attempt in (
        lambda: list_folders([f"data/{text}"]),
        lambda: list_samples([(text, 0)]),
        lambda: list_samples([text]),
        lambda: local_files(text, "read_webdataset"),
        lambda: local_files([text, text], "read_webdataset"),
        lambda: csv_samples(text, image=0, label=1),
    ):
        try:
            attempt()
        except USUAL as error:
            assert str(error)  # noqa: PT017  (some texts are good names)
    tally.count("bad", 6)


# CSV files


@pytest.fixture
def folder(tmp_path):
    for name in ("set/1.jpg", "2.jpg"):
        save(Image.new("RGB", (8, 8)), tmp_path / name)
    return tmp_path / "set"


def read(folder, content, **options):
    (folder / "x.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return csv_samples(folder / "x.csv", **{"image": 0, "label": 1} | options)


ODD = {
    "a huge field": (b"1.jpg," + b"x" * 200_000, r"line 1: not a row of a CSV file \(field larger than field limit"),
    "a NUL": (b"1.jpg,1\n2\0.jpg,1", "line 2: it holds a NUL, so it is no text; save it as UTF-8"),
    "UTF-16": ("1.jpg,1".encode("utf-16"), "not UTF-8 text"),
    "Latin-1": ("é.jpg,1".encode("latin-1"), "not UTF-8 text"),
    "no rows": (b"\n \n", "it is empty; give a CSV file with a row for each image"),
    "a label of 5000 digits": (b"1.jpg," + b"9" * 5000, "line 1: label '999.* whole number from 0 to 2147483647"),
    "a label too large": (b"1.jpg,2147483648", "line 1: label '2147483648' given; allowed is a whole number from 0 to"),
    "an address": (b"1.jpg,1\ngs://b/1.jpg,1", rf"line 2: gs://b/1\.jpg {TOLD}"),
    "the folder above": (b"1.jpg,1\n../2.jpg,1", r"line 2: '\.\./2\.jpg' leads out of the file's folder, .*give root="),
    "above, in the end": (b"a/../../2.jpg,1", r"line 1: 'a/\.\./\.\./2\.jpg' leads out of the file's folder"),
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_csv_file_is_named_with_its_line(folder, case):
    content, told = ODD[case]
    with pytest.raises(ValueError, match=rf"x\.csv(, |: ){told}"):
        read(folder, content)
    tally.count("bad")


def test_names_may_lead_out_of_the_folder_where_a_root_is_given(folder):
    assert read(folder, "../2.jpg,1", root=folder).paths == [str(folder / "../2.jpg")]
    assert read(folder, f"{folder.parent}/2.jpg,1").paths == [str(folder.parent / "2.jpg")]
    (folder / "a").mkdir()
    assert read(folder, "a/../1.jpg,1").paths == [str(folder / "a/../1.jpg")]


@pytest.mark.parametrize("delimiter", ["\n", "\r", "\0", '"', "", ",,", 5], ids=ascii)
def test_what_cannot_stand_between_columns_is_refused(folder, delimiter):
    with pytest.raises(ValueError, match=r"delimiter=.* given; allowed is one character"):
        read(folder, "1.jpg,1", delimiter=delimiter)


@pytest.mark.parametrize("options", [{"suffix": 5}, {"suffix": "\0"}, {"root": "gs://bucket"}], ids=str)
def test_other_odd_arguments_are_refused(folder, options):
    with pytest.raises(ValueError, match=r"(suffix|root)(=|:) ?\S+ given"):
        read(folder, "1.jpg,1", **options)


def test_nobody_waits_for_a_fifo(folder):
    os.mkfifo(folder / "fifo.csv")
    with pytest.raises(OSError, match=r"a FIFO \(named pipe\), not a regular file.*fifo\.csv"):
        csv_samples(folder / "fifo.csv", image=0, label=1)


# Folders that cannot be listed


LIST = """
import os, sys
from dali_cutmix.sources import scan_folder
os.setgroups([]); os.setgid(54321); os.setuid(54321)
try:
    scan_folder(sys.argv[1])
except OSError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without rights")
def test_a_class_folder_that_cannot_be_listed_is_named(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for path in (root, *root.parents[:-2]):
        path.chmod(0o755)
    for name in ("cat", "dog"):
        save(Image.new("RGB", (8, 8)), root / name / "1.jpg")
    (root / "dog").chmod(0o700)
    done = subprocess.run([sys.executable, "-c", LIST, str(root)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("PermissionError "), done.stderr
    assert str(root / "dog") in done.stdout

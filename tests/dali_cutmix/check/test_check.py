"""python -m dali_cutmix.check: every bad file of a data set is named, and the exit status says if there are any."""

import importlib.util
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from dali_cutmix.check import main
from tests.helpers import tally
from tests.helpers.bad_files import BAD, GOOD, photo
from tests.helpers.checking import named, run_check
from tests.helpers.images import save
from tests.helpers.records import write_recordio, write_tfrecord, write_webdataset
from tests.helpers.shards import overwrite


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def folder(photo_folder, tmp_path):
    return shutil.copytree(photo_folder, tmp_path / "data with ü")


def test_a_good_folder(folder, capfd):
    for what, write in GOOD.items():
        write(folder / "a" / f"{what}.jpg")
    assert main([str(folder)]) == 0
    assert capfd.readouterr().out == f"{24 + len(GOOD)} images checked, 0 of them bad\n"
    tally.count("bad", len(GOOD))


@pytest.mark.parametrize("workers", [1, 3])
def test_every_bad_file_is_named_with_its_reason_and_no_good_one(folder, capfd, tmp_path, workers):
    paths = {what: folder / "abcd"[i % 4] / f"bad {what}.jpg" for i, what in enumerate(BAD)}
    for what, path in paths.items():
        BAD[what](path)
    assert main([str(folder), f"--workers={workers}", f"--json={tmp_path / 'bad.json'}"]) == 1
    out = capfd.readouterr().out
    found = named(out)
    assert set(found) == set(map(str, paths.values()))
    reasons = {what: found[str(path)] for what, path in paths.items()}
    assert reasons["empty"] == "the file is empty"
    assert reasons["GIF"] == "a GIF, which is not supported here: convert it with python -m dali_cutmix.pack"
    assert reasons["text"] == "not an image: it begins with b'this is no pictu'"
    assert reasons["header"] == "its header is damaged or cut off"
    assert reasons["data"] == "its data is damaged or cut off"
    assert reasons["bomb"] == "20000×20000 pixels, more than max_pixels=178956970"
    assert reasons["link to itself"] == "cannot be read: Too many levels of symbolic links"
    assert reasons["link to nowhere"] == "cannot be read: No such file or directory"
    assert reasons["folder"] == "a folder, not a regular file"
    kinds = f"{len(BAD) - 5} damaged, 3 not supported, 2 missing"
    assert out.endswith(f"{24 + len(BAD)} images checked, {len(BAD)} of them bad: {kinds}\n")
    written = json.loads((tmp_path / "bad.json").read_bytes())
    assert written["checked"] == 24 + len(BAD)
    assert {entry["path"]: entry["reason"] for entry in written["bad"]} == found
    tally.count("bad", len(BAD))


def test_all_bad(tmp_path, capfd):
    for i in range(130):
        (tmp_path / "data" / "a").mkdir(parents=True, exist_ok=True)
        BAD[["text", "empty", "header"][i % 3]](tmp_path / "data" / "a" / f"{i:03d}.jpg")
    assert main([str(tmp_path / "data")]) == 1
    assert len(named(capfd.readouterr().out)) == 130


def test_what_it_names_training_stumbles_over_and_nothing_else(folder, capfd):
    """Without the files that it names, an epoch of whole images runs through."""
    from pipelines import imagenet

    for i, what in enumerate([*BAD, *GOOD]):
        (BAD | GOOD)[what](folder / "abcd"[i % 4] / f"{what}.jpg")
    main([str(folder)])
    for path in named(capfd.readouterr().out):
        Path(path).rmdir() if Path(path).is_dir() else Path(path).unlink()
    loader = imagenet.val(folder, batch_size=5, size=16, resize=16, device="cpu")
    assert sum(len(labels) for _, labels in loader) == 24 + len(GOOD)


SPOILED = b"this is no picture" * 20


def test_packed_shards(photo_folder, packed, tmp_path, capfd):
    root = shutil.copytree(packed(photo_folder), tmp_path / "copy")
    assert main([str(root)]) == 0
    capfd.readouterr()
    overwrite(root / "shard-00002.tar", "00000013.jpg", SPOILED)
    assert main([str(root)]) == 1
    wrong = "its checksum is wrong: its bytes are not those that were packed"
    assert named(capfd.readouterr().out) == {f"{root}/shard-00002.tar": f"00000013.jpg (was c/06.jpg): {wrong}"}


def test_several_folders_of_which_one_is_packed_are_refused(photo_folder, packed, capfd):
    """None of them is left out without a word."""
    root = packed(photo_folder)
    for given in ([root, root], [photo_folder, root], [root, photo_folder]):
        assert main([*map(str, given)]) == 2
        printed = capfd.readouterr()
        assert (
            printed.err
            == f"error: {root}: packed by dali_cutmix.pack; give each packed folder in a command of its own.\n"
        )
        assert printed.out == ""


@pytest.mark.parametrize("kind", ["webdataset", "webdataset folder", "tfrecord", "recordio"])
def test_records(kind, tmp_path, capfd):
    samples = [(SPOILED if i == 4 else photo(), i % 3) for i in range(9)]
    data = tmp_path / "data"
    match kind:
        case "recordio":
            paths, name = [write_recordio(data, samples, index=True)], "record 4"
        case "tfrecord":
            paths, name = write_tfrecord(data, samples, 3, index=True), "record 1"
        case _:
            paths, name = write_webdataset(data, samples, 3, index=False), "class 1/00004.jpg"
    given = [str(data)] if "folder" in kind else list(map(str, paths))
    assert main(given) == 1
    bad = paths[len(paths) // 2]
    assert f"{bad}: {name}: not an image: it begins with" in capfd.readouterr().out
    tally.count("bad")


def test_a_limit_of_ones_own(folder, capfd):
    save(np.zeros((200, 300, 3), np.uint8), folder / "a" / "large.jpg")
    assert main([str(folder), "--max-pixels", "59999"]) == 1
    assert named(capfd.readouterr().out) == {
        str(folder / "a" / "large.jpg"): "300×200 pixels, more than max_pixels=59999"
    }


def test_several_folders(folder, photo_folder, capfd):
    assert main([str(folder), str(photo_folder)]) == 0
    assert "48 images checked" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nowhere"], "error: /nowhere: no such file or folder"),
        (["{empty}"], "it is empty; expected a folder with one subfolder for each class"),
        (["{good}", "--timeout=9999999"], "error: --timeout 9999999 given; allowed is a whole number from 1 to 604800"),
        (["{good}", "--workers=0"], "error: --workers 0 given; allowed is a whole number of at least 1"),
        (["{good}", "--max-pixels=-1"], "error: --max-pixels -1 given; allowed is a whole number of at least 1"),
        (
            ["{good}", "--json={good}"],
            "--json cannot be written (a folder, not a regular file); give a file in",
        ),
        (["{good}", "--json=/dev/null"], "--json cannot be written (a device, not a regular file); give a file in"),
        (["{good}", "--json={good}/no/x"], "--json cannot be written (No such file or directory); give a file in"),
        (["{fifo}"], "a FIFO (named pipe), not a regular file"),
        (["{tars}"], "a FIFO (named pipe), not a regular file"),
        (["{file}", "--kind=recordio"], "not a RecordIO file, or damaged"),
        (["{records}"], "records.rec: no samples in 1 files; give files that have some"),
        (["{empty}", "--kind=webdataset"], "empty: no .tar file in this folder; give a folder with some"),
    ],
)
def test_nothing_to_check(tmp_path, photo_folder, capfd, arguments, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"something else " * 9)
    (tmp_path / "records.rec").touch()
    places = {"empty": tmp_path / "empty", "good": photo_folder, "file": tmp_path / "file"}
    places |= {"records": tmp_path / "records.rec", "fifo": tmp_path / "fifo"}
    places["tars"] = tmp_path / "tars"
    places["tars"].mkdir()
    for path in (places["fifo"], places["tars"] / "a.tar"):
        os.mkfifo(path)
    assert main([argument.format(**places) for argument in arguments]) == 2
    assert message in capfd.readouterr().err


def test_without_its_progress_bar_it_says_what_to_install(photo_folder, capfd, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "tqdm" else found(name, *rest))
    assert main([str(photo_folder)]) == 2
    assert "tqdm is not installed; checking needs pip install 'dali_cutmix[pack]'" in capfd.readouterr().err


def test_as_a_user_runs_it(folder):
    """With a progress bar, one line for the bad file, and no lines of the decoders in between."""
    BAD["data"](folder / "b" / "bad.jpg")
    done = run_check(folder)
    assert done.returncode == 1
    assert done.stdout == (
        f"{folder}/b/bad.jpg: its data is damaged or cut off\n25 images checked, 1 of them bad: 1 damaged\n"
    )
    assert "25/25" in done.stderr
    assert "1 bad" in done.stderr
    assert "ERROR" not in done.stderr
    tally.count("bad")

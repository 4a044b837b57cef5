"""What python -m dali_cutmix.pack refuses: other settings, a second run, folders that cannot be packed."""

import shutil
import subprocess
import sys

import pytest
from PIL import Image

from dali_cutmix.sources.manifest import MANIFEST, UNFINISHED
from tests.helpers.images import save
from tests.helpers.packing import contents, pack


def one_more_file(source):
    save(Image.new("RGB", (8, 8)), source / "a" / "new.jpg")
    return {}


OTHERWISE = {
    "short side": (lambda _: {"short_side": 65}, "--short-side: 64 there, 65 given"),
    "quality": (lambda _: {"quality": 80}, "--quality: 90 there, 80 given"),
    "samples": (lambda _: {"samples_per_shard": 9}, "--samples-per-shard: 5 there, 9 given"),
    "files": (one_more_file, "files: 24 in 4 classes (SHA-256 "),
}


@pytest.mark.parametrize("what", OTHERWISE)
@pytest.mark.parametrize("finished", [True, False], ids=["finished", "unfinished"])
def test_other_settings_or_files_are_refused_with_both_named(photo_folder, tmp_path, capsys, what, finished):
    source, out = shutil.copytree(photo_folder, tmp_path / "src"), tmp_path / "out"
    pack(source, out, samples_per_shard=5)
    if not finished:
        (out / MANIFEST).rename(out / UNFINISHED)
    before = contents(out)
    change, message = OTHERWISE[what]
    assert pack(source, out, **({"samples_per_shard": 5} | change(source))) == 1
    printed = capsys.readouterr().err
    assert f"OUT {out} given; it was packed with other settings or files ({message}" in printed
    assert "given). Run the command with those of OUT, or give an empty folder." in printed
    assert contents(out) == before


HOLD = (
    "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); input()"
)


def test_a_second_run_into_the_same_folder_is_refused(photo_folder, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-c", HOLD, str(out / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        assert pack(photo_folder, out) == 1
        assert f"OUT {out} given; another run is packing into it. Wait until it ends." in capsys.readouterr().err
        other.communicate("\n")
    assert pack(photo_folder, out) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"short_side": 0}, "--short-side 0 given; allowed is a whole number of at least 1."),
        ({"quality": 0}, "--quality 0 given; allowed is a whole number from 1 to 100."),
        ({"quality": 101}, "--quality 101 given; allowed is a whole number from 1 to 100."),
        ({"samples_per_shard": 0}, "--samples-per-shard 0 given; allowed is a whole number of at least 1."),
        ({"workers": 0}, "--workers 0 given; allowed is a whole number of at least 1."),
    ],
    ids=str,
)
def test_numbers_that_make_no_sense_are_refused(photo_folder, tmp_path, capsys, options, message):
    assert pack(photo_folder, tmp_path / "out", **options) == 1
    assert capsys.readouterr().err == f"error: {message}\n"
    assert not (tmp_path / "out").exists()


def refused(source, out, capsys):
    assert pack(source, out) == 1
    return capsys.readouterr().err


def test_folders_that_cannot_be_packed_are_refused(photo_folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    assert "nowhere: no such folder; expected a folder with one" in refused(tmp_path / "nowhere", out, capsys)
    assert "empty: it is empty; expected a folder with one subfolder" in refused(tmp_path / "empty", out, capsys)
    assert not out.exists()


def test_one_folder_inside_the_other_is_refused(photo_folder, capsys):
    for source, out in (
        (photo_folder, photo_folder / "out"),
        (photo_folder, photo_folder),
        (photo_folder / "a", photo_folder),
    ):
        assert f"SRC {source} and OUT {out} given; one is inside the other." in refused(source, out, capsys)


def test_an_out_that_holds_something_else_is_refused(photo_folder, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    message = f"OUT {tmp_path} given; it is neither empty nor a packed folder. Give an empty folder."
    assert message in refused(photo_folder, tmp_path, capsys)
    message = "mine.txt given; it is a file. Give a folder that is new, empty or partly packed."
    assert message in refused(photo_folder, tmp_path / "mine.txt", capsys)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_without_pillow_it_says_what_to_install(photo_folder, tmp_path, monkeypatch, capsys):
    found = __import__("importlib").util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "PIL" else found(name, *rest))
    message = "error: PIL not installed; packing needs pip install 'dali_cutmix[pack]'.\n"
    assert refused(photo_folder, tmp_path / "out", capsys) == message

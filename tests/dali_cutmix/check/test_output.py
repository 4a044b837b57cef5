"""What the command prints: hostile names do no harm, and a reader that goes away is no error."""

import io
import json
import os
import subprocess
import sys
import tarfile

import pytest

from dali_cutmix.check import main
from dali_cutmix.pack.cli import main as pack
from tests.helpers import ROOT
from tests.helpers.bad_files import photo
from tests.helpers.closed_output import without_reader

HOSTILE = {
    "\x1b]0;owned\x07.jpg": "\\x1b]0;owned\\x07.jpg",
    "\u202egpj.jpg": "\\u202egpj.jpg",
    os.fsdecode(b"\xff\xfe.jpg"): "\\xff\\xfe.jpg",
    "a\rgood.jpg": "a\\x0dgood.jpg",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A good file and bad ones with hostile names."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "data"
    (root / "a").mkdir(parents=True)
    (root / "a" / "good.jpg").write_bytes(photo())
    for name in HOSTILE:
        (root / "a" / name).write_bytes(b"no picture")
    return root


def test_hostile_names_are_printed_escaped(folder, tmp_path, capfdbinary):
    assert main([str(folder), f"--json={tmp_path / 'bad.json'}"]) == 1
    printed = capfdbinary.readouterr()
    *lines, last = printed.out.decode().splitlines()
    assert last == "5 images checked, 4 of them bad: 4 damaged"
    assert {line.split(": ")[0] for line in lines} == {f"{folder}/a/{name}" for name in HOSTILE.values()}
    assert b"\x1b]" not in printed.err
    written = json.loads((tmp_path / "bad.json").read_bytes().decode())["bad"]
    assert {entry["path"] for entry in written} == {f"{folder}/a/{name}" for name in HOSTILE}  # as they are


def test_an_error_is_printed_escaped(tmp_path, capfd):
    assert main([str(tmp_path / "no\x1b[31mwhere")]) == 2
    assert capfd.readouterr().err == f"error: {tmp_path}/no\\x1b[31mwhere: no such file or folder.\n"


def test_a_member_of_a_tar_with_a_hostile_name_is_printed_escaped(tmp_path, capfd):
    path = tmp_path / "shard.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("\x1b[31m.jpg")
        member.size = 10
        tar.addfile(member, io.BytesIO(b"no picture"))
    assert main([str(path)]) == 1
    out = capfd.readouterr().out
    assert f"{path}: \\x1b[31m.jpg: not an image" in out
    assert "\x1b" not in out


def test_a_reader_that_goes_away_ends_the_command_without_a_word(folder):
    for i in range(300):
        (folder / "a" / f"{i}.jpg").write_bytes(b"no picture")
    command = f"{sys.executable} -m dali_cutmix.check {folder} --workers=1 | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert "rror:" not in done.stderr


@pytest.mark.parametrize("main", [main, pack], ids=["check", "pack"])
def test_an_argument_that_is_the_name_of_a_file_is_printed_escaped(main, capfd):
    """As the shell puts it in place of a star."""
    with pytest.raises(SystemExit) as done:
        main(["data", "out", "--\x1b]0;owned\x07.jpg"])
    assert done.value.code == 2
    assert "arguments: --\\x1b]0;owned\\x07.jpg\n" in capfd.readouterr().err


@pytest.mark.parametrize("main", [main, pack], ids=["check", "pack"])
def test_a_reader_of_the_help_that_goes_away(main, capfd):
    with pytest.raises(SystemExit) as done, without_reader():
        main(["--help"])
    assert done.value.code == 141
    assert capfd.readouterr() == ("", "")


def test_where_the_list_cannot_be_written_nothing_is_checked(folder, capfd):
    assert main([str(folder), "--json=/proc/bad.json"]) == 2
    printed = capfd.readouterr()
    assert "--json cannot be written" in printed.err
    assert printed.out == ""

"""The cache: entries that are not the user's own are not read, and no cache at all is no error."""

import json
import os
import socket
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from dali_cutmix.utils import cache, cache_folder, cache_path, generated, remember, remembered
from tests.helpers import ROOT, tally

STAMP, CONTENT = b"stamp\n", b"content"
ANOTHER_USER = 54321


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The cache folder, in a folder that does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new" / "cache"))
    monkeypatch.setattr(cache, "_warned", set())
    return tmp_path / "new" / "cache" / "dali_cutmix"


def stored():
    path = cache_path("lists", "/data")
    remember(path, STAMP, CONTENT)
    return path


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o000, 0o077])
def test_what_was_stored_is_loaded_and_nobody_else_may_look_at_it(folder, umask):
    before = os.umask(umask)
    try:
        path = stored()
    finally:
        os.umask(before)
    assert remembered(path, STAMP) == CONTENT
    assert remembered(path, b"other\n") is None
    assert (mode(folder.parent), mode(folder), mode(path.parent), mode(path)) == (0o700, 0o700, 0o700, 0o600)
    assert list(path.parent.iterdir()) == [path]


def make_foreign(path):
    """Give a path to another user; without the right to do so, be another user."""
    if os.geteuid() == 0:
        os.chown(path, ANOTHER_USER, ANOTHER_USER)
    else:
        pytest.skip("only root can give files away")


@pytest.mark.parametrize("whose", ["entry", "lists", "cache"])
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (make_foreign, "belongs to another user; remove it, or set XDG_CACHE_HOME"),
        (lambda path: path.chmod(0o777), r"others can write to it; run chmod go-w on it, or set XDG_CACHE_HOME"),
        (lambda path: path.chmod(0o720), r"others can write to it; run chmod go-w"),
    ],
    ids=["another user's", "all may write", "a group may write"],
)
def test_what_others_could_have_written_is_not_believed(folder, whose, spoil, told):
    path = stored()
    spoiled = {"entry": path, "lists": path.parent, "cache": folder}[whose]
    spoil(spoiled)
    with pytest.warns(UserWarning, match=f"{spoiled}: not used as a cache .*{told}"):
        assert remembered(path, STAMP) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one warning in all
        remember(path, STAMP, b"new")
        assert remembered(path, STAMP) == (b"new" if whose == "entry" else None), "written only where that is safe"
    tally.count("bad")


def planted_link(path):
    path.symlink_to("/etc/passwd")


def planted_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(path.parent)  # a socket's name may have 107 bytes
        server.bind(path.name)


@pytest.mark.parametrize("plant", [os.mkfifo, planted_link, planted_socket], ids=["fifo", "link", "socket"])
def test_what_is_no_regular_file_is_replaced_and_nobody_waits_for_it(plant, monkeypatch):
    monkeypatch.chdir(".")
    path = stored()
    path.unlink()
    plant(path)
    with pytest.warns(UserWarning, match="not a regular file"):
        assert remembered(path, STAMP) is None
    remember(path, STAMP, CONTENT)
    assert remembered(path, STAMP) == CONTENT
    tally.count("bad")


def test_a_folder_in_the_place_of_an_entry_stays_there():
    path = stored()
    path.unlink()
    path.mkdir()
    (path / "mine").touch()
    with pytest.warns(UserWarning, match=r"not used as a cache \(a folder, not a regular file\)"):
        assert remembered(path, STAMP) is None
    with pytest.warns(UserWarning, match=r"Is a directory"):
        remember(path, STAMP, CONTENT)
    assert (path / "mine").exists()


def test_a_file_of_any_size_is_refused_before_it_is_read():
    path = stored()
    os.truncate(path, 200 << 30)
    assert remembered(path, STAMP) is None
    tally.count("bad")


def test_a_planted_name_of_a_temporary_file_is_not_followed(tmp_path):
    path = stored()
    victim = tmp_path / "victim"
    victim.write_text("mine")
    path.with_name(f"{path.name}.{os.getpid()}").symlink_to(victim)
    remember(path, STAMP, b"new")
    assert (victim.read_text(), remembered(path, STAMP)) == ("mine", b"new")


# Without a place for a cache


TRY = """
import json, os, sys, warnings
from dali_cutmix.utils import cache_path, remember, remembered

for name, (environment, is_nobody) in json.loads(sys.argv[1]).items():
    if os.fork():
        os.wait()
        continue
    for variable in ("XDG_CACHE_HOME", "HOME"):
        os.environ.pop(variable, None)
    os.environ |= environment
    if is_nobody:
        os.setgroups([]); os.setgid(54321); os.setuid(54321)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = []
        for entry in "abc":
            path = cache_path("lists", entry)
            found.append(remembered(path, b"1"))
            remember(path, b"1", b"2")
            found.append(remembered(path, b"1"))
    print(json.dumps([name, [one is None for one in found], [str(one.message) for one in caught]]), flush=True)
    os._exit(0)
"""
USERS = {
    "no home": {},
    "/": {"HOME": "/"},
    "relative": {"HOME": "x"},
    "/proc": {"HOME": "/proc"},
    "root's": {"HOME": "/root"},
}
FOLDERS = {
    "a file": Path.touch,
    "a device": lambda path: (path.mkdir(), (path / "dali_cutmix").symlink_to("/dev/full")),
    "a loop": lambda path: path.symlink_to(path),
    "nowhere": lambda path: path.symlink_to("/no/such/folder"),
    "the second process": Path.touch,
}


@pytest.fixture(scope="module")
def tries(tmp_path_factory):
    """What three calls give and warn, in processes with other environments: whether nothing was loaded, warnings."""
    parent = tmp_path_factory.mktemp("tries")
    cases = {}
    for name, prepare in FOLDERS.items():
        prepare(parent / name)
        rank = {"LOCAL_RANK": "1"} if name == "the second process" else {}
        cases[name] = ({"XDG_CACHE_HOME": str(parent / name)} | rank, False)
    if os.geteuid() == 0:
        cases |= {name: (environment, True) for name, environment in USERS.items()}
    command = [sys.executable, "-c", TRY, json.dumps(cases)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    return {name: found for name, *found in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("case", [*FOLDERS, *USERS])
def test_where_nothing_can_be_stored_there_is_one_warning_on_each_machine(tries, case):
    if case in USERS and os.geteuid() != 0:
        pytest.skip("only root can become a user without a home")
    nothing, told = tries[case]
    assert nothing == [True] * 6
    assert len(told) == (0 if case == "the second process" else 1), told
    assert all("not used as a cache" in one and "set XDG_CACHE_HOME to the absolute path" in one for one in told)


def test_a_relative_folder_is_ignored_as_the_specification_says(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "dali_cutmix"


def test_a_disk_that_is_full_gives_a_warning_and_leaves_nothing(monkeypatch):
    path = stored()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.warns(UserWarning, match=r"not used as a cache \(No space left on device\)"):
        remember(path, STAMP, b"new")
    assert list(path.parent.iterdir()) == [path]
    assert remembered(path, STAMP) == CONTENT


# Data sets that are generated


def make(target):
    target.mkdir()
    (target / "file").write_text("made")


def test_a_generated_folder_is_made_once_and_belongs_to_the_user(folder):
    path = generated("data", make)
    assert path == folder / "data"
    assert (mode(folder), mode(path)) == (0o700, 0o700)
    assert generated("data", lambda _: pytest.fail("made again")) == path


@pytest.mark.parametrize("planted", ["cache", "data"])
def test_generated_data_of_another_user_are_refused(folder, planted):
    path = generated("data", make)
    make_foreign(folder if planted == "cache" else path)
    with pytest.raises(PermissionError, match=r"belongs to another user; remove it, or set XDG_CACHE_HOME"):
        generated("data", make)
    tally.count("bad")


def test_without_a_home_generated_data_need_a_folder(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "relative")
    with pytest.raises(FileNotFoundError, match="no home folder, so no cache; set XDG_CACHE_HOME to the absolute path"):
        generated("data", make)

"""Files that are written into a folder where others may write: links that they planted there are not followed."""

import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dali_cutmix.pack.cli import main as pack
from dali_cutmix.pack.writer import write_shard
from dali_cutmix.utils import (
    make_atomically,
    open_lock,
    opened_unless_link,
    publish,
    temporary_beside,
    write_atomically,
)
from tests.helpers import tally

DAY = 24 * 3600


@pytest.fixture
def victim(tmp_path):
    """A file of the user's that somebody else would like to have overwritten."""
    path = tmp_path / "victim"
    path.write_text("mine")
    return path


@pytest.fixture
def shared(tmp_path):
    """A folder in which anybody may write."""
    path = tmp_path / "shared"
    path.mkdir()
    path.chmod(0o777)
    return path


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("planted", [".last.pt.tmp", "last.pt", ".last.pt.abcdefgh", ".0123abcd.last.pt.tmp"])
@pytest.mark.parametrize("exists", [True, False], ids=["to a file", "to nowhere"])
def test_a_planted_link_is_not_followed(shared, victim, planted, exists):
    target = victim if exists else victim.with_name("nowhere")
    (shared / planted).symlink_to(target)
    os.utime(shared / planted, (0, 0), follow_symlinks=False)
    write_atomically(shared / "last.pt", b"saved")
    assert (shared / "last.pt").read_bytes() == b"saved"
    assert not (shared / "last.pt").is_symlink()
    assert victim.read_text() == "mine"
    assert not victim.with_name("nowhere").exists()
    tally.count("bad")


def test_names_of_temporary_files_cannot_be_guessed(shared):
    found = set()
    for _ in range(20):
        with temporary_beside(shared / "last.pt") as file:
            found.add(Path(file.name).name)
    assert len(found) == 20
    assert all(re.fullmatch(r"\.[0-9a-f]{8}\.last\.pt\.tmp", name) for name in found)
    assert list(shared.iterdir()) == []


def test_packing_follows_no_planted_links(shared, victim, photo_folder):
    for name in (".shard-00000.tar.tmp", ".shard-00000.idx.tmp", ".packed.json.tmp"):
        (shared / name).symlink_to(victim)
    assert pack([str(photo_folder), str(shared), "--workers", "1"]) == 0
    assert victim.read_text() == "mine"
    tally.count("bad")


def test_a_shard_takes_the_place_of_a_planted_link(shared, victim):
    for name in ("shard.tar", "shard.idx"):
        (shared / name).symlink_to(victim)
    assert write_shard(shared / "shard.tar", [(0, 1, b"jpeg")]) == []
    assert victim.read_text() == "mine"
    assert not (shared / "shard.tar").is_symlink()


def test_packing_locks_no_planted_link(shared, victim, photo_folder, capsys):
    (shared / ".lock").symlink_to(victim)
    assert pack([str(photo_folder), str(shared), "--workers", "1"]) == 1
    assert ".lock" in capsys.readouterr().err
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("plant", [lambda path: path.symlink_to("/etc/passwd"), os.mkfifo, Path.mkdir])
def test_a_lock_is_a_regular_file(shared, plant):
    plant(shared / ".lock")
    with pytest.raises(OSError, match=r"\.lock"):
        open_lock(shared / ".lock")


def test_a_lock_keeps_what_is_in_its_file(shared):
    (shared / ".lock").write_text("text")
    os.close(open_lock(shared / ".lock"))
    assert (shared / ".lock").read_text() == "text"


def test_a_log_is_not_appended_to_what_a_link_leads_to(shared, victim):
    (shared / "log").symlink_to(victim)
    with pytest.raises(OSError, match="log"), open(shared / "log", "a", opener=opened_unless_link):
        pass
    with open(shared / "new", "a", opener=opened_unless_link) as log:
        log.write("line")
    assert (shared / "new").read_text() == "line"


# What else a write keeps


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
@pytest.mark.parametrize("before", [None, 0o600, 0o640, 0o666, 0o444])
def test_modes_are_those_that_open_would_give(shared, umask, before):
    old = os.umask(umask)
    try:
        if before is not None:
            (shared / "file").touch()
            (shared / "file").chmod(before)
        write_atomically(shared / "file", b"1")
        (shared / "other").open("w").close()
    finally:
        os.umask(old)
    assert mode(shared / "file") == (mode(shared / "other") if before is None else before)


def test_a_secret_is_never_readable_while_it_is_written(shared):
    (shared / "file").touch()
    (shared / "file").chmod(0o600)
    with temporary_beside(shared / "file") as file:
        assert mode(Path(file.name)) == 0o600


@pytest.mark.parametrize("name", ["a" * 250, "é" * 120, "[a*b]", "$x", "a b\n"])
def test_any_name_can_be_written(shared, name):
    for content in (b"1", b"2"):
        write_atomically(shared / name, content)
    assert (shared / name).read_bytes() == b"2"
    assert [path.name for path in shared.iterdir()] == [name]


@pytest.mark.parametrize("place", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/null")])
def test_devices_fifos_and_folders_are_not_replaced(shared, place):
    place(shared / "file")
    with pytest.raises(OSError, match=r"could not be saved \(a .*, not a regular file\): '.*file'"):
        write_atomically(shared / "file", b"1")
    assert [path.name for path in shared.iterdir()] == ["file"]
    assert not (shared / "file").is_file()


def test_an_error_after_the_rename_says_that_the_file_is_there(shared, monkeypatch):
    from dali_cutmix.utils import atomic_files

    def fail(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(atomic_files, "_sync_folder", fail)
    with pytest.raises(OSError, match=r"\(Input/output error\); it is there, but a power failure may undo that"):
        write_atomically(shared / "file", b"1")
    assert (shared / "file").read_bytes() == b"1"


def test_a_block_that_fails_leaves_nothing(shared):
    def interrupted():
        with temporary_beside(shared / "file") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(shared.iterdir()) == []


def test_nobody_waits_for_what_was_planted_in_the_place_of_a_finished_file(shared):
    (shared / "link").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="link"):
        publish(shared / "link", shared / "file")
    assert not (shared / "file").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from dali_cutmix.utils.atomic_files import temporary_beside
with temporary_beside(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_after_a_day(shared):
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", KILLED, str(shared / "file"), str(root)], timeout=60, check=False)
    assert done.returncode == -9
    (left,) = shared.iterdir()
    write_atomically(shared / "file", b"1")
    assert left.exists(), "another process may be writing it"
    os.utime(left, (time.time() - 2 * DAY,) * 2)
    write_atomically(shared / "other", b"1")
    assert left.exists(), "not of this file"
    write_atomically(shared / "file", b"1")
    assert not left.exists()
    tally.count("kills")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_leftovers_of_others_are_left_alone(shared):
    (shared / ".file.abcd1234" / "file").mkdir(parents=True)
    (shared / ".0123abcd.file.tmp").touch()
    for name in (".file.abcd1234", ".0123abcd.file.tmp"):
        os.chown(shared / name, 54321, 54321)
        os.utime(shared / name, (0, 0))
    write_atomically(shared / "file", b"1")
    make_atomically(shared / "file", lambda path: path.write_bytes(b"2"))
    assert len(list(shared.iterdir())) == 3

"""Files and folders that exist whole or not at all, and what is left beside them."""

import errno
import os
import time
from pathlib import Path

import pytest

from dali_cutmix.utils import atomic_files
from dali_cutmix.utils.atomic_files import make_atomically

DAY = 24 * 3600


def test_what_was_not_finished_leaves_nothing(tmp_path):
    def fail(target):
        target.mkdir()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        make_atomically(tmp_path / "made", fail)
    assert list(tmp_path.iterdir()) == []


def test_the_first_of_two_makers_wins(tmp_path):
    def second(target):
        target.mkdir()
        (target / "second").touch()
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "first").touch()

    make_atomically(tmp_path / "made", second)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["first"]
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_file_is_made_and_the_last_of_two_makers_wins(tmp_path):
    def second(target):
        target.write_bytes(b"second")
        (tmp_path / "made").write_bytes(b"first")

    make_atomically(tmp_path / "made", second)
    assert (tmp_path / "made").read_bytes() == b"second"
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_maker_that_makes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="made"):
        make_atomically(tmp_path / "made", lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_a_parent_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        make_atomically(tmp_path / "file" / "made", lambda target: target.mkdir())


def make_tree(target):
    (target / "sub").mkdir(parents=True)
    (target / "a").write_bytes(b"a")
    (target / "sub" / "b").write_bytes(b"b")
    (target / "sub" / "link").symlink_to("nowhere")


def test_all_is_synced_before_the_move_and_the_parent_after_it(tmp_path, monkeypatch):
    synced = []

    def sync(path):
        synced.append((path.name, (tmp_path / "made").exists()))

    monkeypatch.setattr(atomic_files, "_sync", sync)
    make_atomically(tmp_path / "made", make_tree)
    assert sorted(synced[:-1]) == [("a", False), ("b", False), ("made", False), ("sub", False)]
    assert synced.index(("b", False)) < synced.index(("sub", False)) < synced.index(("made", False))
    assert synced[-1] == (tmp_path.name, True)
    synced.clear()
    make_atomically(tmp_path / "file", lambda target: target.write_bytes(b"1"))
    assert [name for name, _ in synced] == ["file", tmp_path.name]


def test_a_tree_arrives_as_it_was_made(tmp_path):
    make_atomically(tmp_path / "made", make_tree)
    assert (tmp_path / "made" / "sub" / "b").read_bytes() == b"b"
    assert (tmp_path / "made" / "sub" / "link").is_symlink()


def leave(root, name, age, content="made"):
    """A folder as a killed maker leaves it, so many seconds ago."""
    (root / name / content).mkdir(parents=True)
    (root / name / content / "half").touch()
    os.utime(root / name, (time.time() - age,) * 2)


@pytest.mark.parametrize("name", ["made", "[ma*de]"])
def test_what_killed_makers_left_is_removed_after_a_day(tmp_path, name):
    leave(tmp_path, f".{name}.abc_1234", 2 * DAY, name)
    leave(tmp_path, f".{name}.zzzz9999", DAY - 60, name)
    make_atomically(tmp_path / name, lambda target: target.mkdir())
    assert {path.name for path in tmp_path.iterdir()} == {name, f".{name}.zzzz9999"}


def test_nothing_else_is_removed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    leave(tmp_path, ".made.mine", 2 * DAY)
    leave(tmp_path, ".made.mine1234", 2 * DAY, "mine")
    leave(tmp_path, ".other.abcd1234", 2 * DAY)
    leave(tmp_path, "made.abcd1234", 2 * DAY)
    (tmp_path / ".made.abcd1234").symlink_to(tmp_path / "elsewhere")
    (tmp_path / ".made.file1234").touch()
    os.utime(tmp_path / ".made.file1234", (0, 0))
    before = {path.name for path in tmp_path.iterdir()}
    make_atomically(tmp_path / "made", lambda target: target.mkdir())
    assert {path.name for path in tmp_path.iterdir()} == before | {"made"}


def test_a_file_that_cannot_be_moved_over_an_old_one_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "made").write_bytes(b"old")

    def refuse(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        make_atomically(tmp_path / "made", lambda made: made.write_bytes(b"new"))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("made", b"old")]

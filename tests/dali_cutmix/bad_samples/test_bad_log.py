"""The file that names replaced samples: lines are whole or absent, whatever fails, and the state never says more."""

import errno
import fcntl
import json
import os
import resource
import socket
from contextlib import contextmanager

import pytest
from PIL import Image

from dali_cutmix.bad_samples import bad_log
from dali_cutmix.bad_samples.bad_log import BadLog
from pipelines import imagenet
from tests.helpers import tally
from tests.helpers.images import save
from tests.helpers.loaders import bits, take


def entries(path):
    return [json.loads(line) for line in path.read_bytes().decode().splitlines()]


@contextmanager
def room(size):
    """A limit of the size of files stands in for a full disk: writing fails in the middle."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


NAMES = [
    "two\nlines",
    "\x1b[2J\x07",
    "é 日本 🙂",
    os.fsdecode(b"latin \xe9.jpg"),
    "\x85\u2028\u2029\r\x7f\x9b",
    '"\\ud83d"\\',
]


def test_each_name_is_one_line_of_text_and_comes_back_as_it_was(tmp_path):
    BadLog(tmp_path / "log").append({"path": name} for name in NAMES)
    content = (tmp_path / "log").read_bytes().decode()
    assert len(content.splitlines()) == len(NAMES)
    assert content.replace("\n", "").isprintable()
    found = [entry["path"] for entry in entries(tmp_path / "log")]
    assert found == NAMES
    assert os.fsencode(found[3]) == b"latin \xe9.jpg"
    assert "é 日本 🙂" in content, "readable"
    tally.count("bad", len(NAMES))


def append_in_another_process(log, name):
    """Forked, which is cheap; it does nothing but append."""
    if process := os.fork():
        return process
    try:
        for number in range(20):
            log.append({"path": f"{name} {number} {i} " + "x" * 9000} for i in range(3))
    finally:
        os._exit(0)


def test_the_lines_of_several_processes_do_not_mix(tmp_path):
    log = BadLog(tmp_path / "log")
    for process in [append_in_another_process(log, name) for name in range(3)]:
        os.waitpid(process, 0)
    found = [tuple(entry["path"].rstrip("x").split()) for entry in entries(log.path)]
    assert sorted(found) == sorted((str(p), str(n), str(i)) for p in range(3) for n in range(20) for i in range(3))
    for at in range(0, len(found), 3):
        assert len({own[:2] for own in found[at : at + 3]}) == 1, "what is appended at once stays together"


@pytest.mark.parametrize("extra", [0, 1, 40, 79])
def test_what_finds_no_room_is_cut_off_again(tmp_path, extra):
    path = tmp_path / "log"
    log = BadLog(path)
    log.append([{"path": "first"}])
    before = path.read_bytes()
    with room(len(before) + extra), pytest.raises(OSError, match="File too large"):
        log.append([{"path": "second"}, {"path": "x" * 60}])
    assert path.read_bytes() == before
    log.append([{"path": "third"}])
    assert [entry["path"] for entry in entries(path)] == ["first", "third"]
    tally.count("bad")


def test_what_cannot_be_synced_is_cut_off_again(tmp_path, monkeypatch):
    path = tmp_path / "log"
    log = BadLog(path)
    log.append([{"path": "first"}])

    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="Input/output error"):
            log.append([{"path": "second"}])
    assert [entry["path"] for entry in entries(path)] == ["first"]


def test_a_line_that_a_crash_cut_off_is_closed(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b'{"path": "whole"}\n{"path": "to')
    BadLog(path).append([{"path": "next"}])
    assert path.read_bytes() == b'{"path": "whole"}\n{"path": "to\n{"path": "next"}\n'


def fifo(path):
    os.mkfifo(path)


def unix_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


KINDS = {
    "a folder": lambda path: path.mkdir(),
    "a FIFO \\(named pipe\\)": fifo,
    "a socket": unix_socket,
    "a device": lambda path: path.symlink_to("/dev/full"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_only_regular_files_are_written(tmp_path, kind):
    path = tmp_path / "log"
    early = BadLog(path)
    KINDS[kind](path)
    with pytest.raises(
        ValueError, match=rf"bad_log='.*log' given; it is {kind}, not a regular file\. Give the path of"
    ):
        BadLog(str(path))
    with pytest.raises(OSError, match=f"{kind}, not a regular file"):
        early.append([{"path": "x"}])
    tally.count("bad")


@pytest.mark.parametrize(
    ("name", "reason"), [("a\0b", "it holds a NUL"), ("\ud83d", "it holds a NUL"), ("x" * 300, "File name too long")]
)
def test_a_name_that_no_file_has_is_refused_before_anything_is_read(tmp_path, name, reason):
    """They were raw errors of Python, two of them only once a file was bad."""
    with pytest.raises(ValueError, match=rf"bad_log.* given; {reason}"):
        BadLog(tmp_path / name / "log")


def test_a_link_to_a_file_is_followed(tmp_path):
    (tmp_path / "log").symlink_to(tmp_path / "elsewhere")
    BadLog(tmp_path / "log").append([{"path": "x"}])
    assert entries(tmp_path / "elsewhere") == [{"path": "x"}]


def test_a_process_that_never_lets_go_of_the_file_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(bad_log, "_PATIENCE", 0.1)
    with (tmp_path / "log").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match=r"another process has held a lock on this file for 0\.1 s: '.*log'"):
            BadLog(tmp_path / "log").append([{"path": "x"}])
    BadLog(tmp_path / "log").append([{"path": "x"}])
    assert len(entries(tmp_path / "log")) == 1


def test_a_file_system_without_locks_is_written_all_the_same(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    BadLog(tmp_path / "log").append([{"path": "x"}])
    assert entries(tmp_path / "log") == [{"path": "x"}]


# With a loader


@pytest.fixture
def folder(tmp_path):
    """24 images, of which 3 and 20 are no images."""
    for i in range(24):
        save(Image.new("RGB", (24, 24), (10 * i,) * 3), tmp_path / "data" / f"class{i // 6}" / f"{i:02d}.jpg")
    for i in (3, 20):
        (tmp_path / "data" / f"class{i // 6}" / f"{i:02d}.jpg").write_text("this is no picture")
    return tmp_path / "data"


def make(folder, kind, log):
    common = {"batch_size": 4, "size": 16, "device": "cpu", "on_error": "replace", "max_bad": 0.3, "bad_log": log}
    if kind == "val":
        return imagenet.val(folder, resize=16, **common)
    return imagenet.train(folder, fused=kind == "fused", **common)


def test_a_full_disk_ends_the_run_and_with_room_again_it_goes_on_without_loss(folder, kind, tmp_path):
    """State, log and batches agree at each moment."""
    log, earlier = tmp_path / "log", 3000  # so that the limit leaves room for all other files
    expected = take(make(folder, kind, tmp_path / "other"), 6)
    log.write_bytes(b'{"path": "earlier"}\n' * earlier)
    loader, failures = make(folder, kind, log), 0
    batches, found = iter(loader), []
    while len(found) < 6:
        before = log.read_bytes()
        try:
            with room(len(before) + 60):
                batch = next(batches)
        except OSError as error:
            failures += 1
            told = str(error)
            assert "File too large" in told
            assert log.read_bytes() == before
            assert len(loader.state_dict()["bad"]) == len(entries(log)) - earlier
            batch = next(batches)
        found.append(bits(batch))
    assert failures
    assert found == expected
    assert len(entries(log)) - earlier == len(loader.state_dict()["bad"]) == 2
    resumed = make(folder, kind, log)
    resumed.load_state_dict(json.loads(json.dumps(loader.state_dict())))
    assert take(resumed, 3) == take(loader, 3)
    assert len(entries(log)) - earlier == 2
    tally.count("bad", failures)

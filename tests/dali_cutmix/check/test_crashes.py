"""Files that a decoder does not survive: each is named, and the check goes on with the others."""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from dali_cutmix.bad_samples import decode_check
from dali_cutmix.check import decoding, main
from dali_cutmix.image_headers import Header
from tests.helpers import ROOT, tally
from tests.helpers.bad_files import BAD
from tests.helpers.checking import ends_its_process, named, run_check
from tests.helpers.crafted_images import HEIGHT, WIDTH, crashing_png
from tests.helpers.processes import are_gone


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def folder(photo_folder, tmp_path):
    return shutil.copytree(photo_folder, tmp_path / "data")


def test_a_real_crash_inside_of_dali(folder, monkeypatch, capfd):
    """An animated PNG that the check of headers lets pass here."""
    monkeypatch.setattr(decode_check, "inspect", lambda *_: Header("png", HEIGHT, WIDTH))
    (folder / "b" / "animated.png").write_bytes(crashing_png())
    assert main([str(folder), "--workers=2"]) == 1
    (reason,) = named(capfd.readouterr().out).values()
    assert reason.startswith("its decoder crashes (SIG")
    tally.count("kills")


@pytest.mark.parametrize(("name", "workers"), [("SIGSEGV", 1), ("SIGSEGV", 2), ("SIGABRT", 1), ("SIGKILL", 2)])
def test_a_crash_of_the_decoder_names_its_file(folder, tmp_path, monkeypatch, capfd, name, workers):
    find = ends_its_process(signal.Signals[name], decoding.find_undecodable)
    monkeypatch.setattr(decoding, "find_undecodable", find)
    crashing = [folder / "a" / "0.jpg", folder / "c" / "first.jpg", folder / "d" / "zz.jpg"]
    for path in crashing:
        path.write_bytes(b"crash")
    BAD["data"](folder / "c" / "second.jpg")
    assert main([str(folder), f"--workers={workers}", f"--json={tmp_path / 'bad.json'}"]) == 1
    out = capfd.readouterr().out
    found = named(out)
    assert list(found) == [*map(str, crashing[:2]), str(folder / "c" / "second.jpg"), str(crashing[2])]
    assert all(f"its decoder crashes ({name}" in found[str(path)] for path in crashing)
    assert out.endswith("28 images checked, 4 of them bad: 1 damaged, 3 not supported\n")
    written = json.loads((tmp_path / "bad.json").read_bytes())["bad"]
    assert [entry["kind"] for entry in written] == ["not supported", "not supported", "damaged", "not supported"]
    tally.count("kills", 3)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM], ids=errno.errorcode.get)
def test_no_file_is_called_missing_for_an_error_of_the_process(folder, monkeypatch, capfd, number):
    def fail(source, i):
        return OSError(number, os.strerror(number), source.name(i))

    monkeypatch.setattr("dali_cutmix.check.decoding.sample_bytes", fail)
    assert main([str(folder), "--workers=1"]) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert f"error: [Errno {number}] {os.strerror(number)}: '{folder}/" in printed.err


def test_a_decoder_that_hangs_is_ended(folder, monkeypatch, capfd):
    (folder / "b" / "0.jpg").write_bytes(b"crash")
    monkeypatch.setattr(decoding, "find_undecodable", ends_its_process(signal.SIGCONT, decoding.find_undecodable))
    assert main([str(folder), "--timeout=1"]) == 1
    assert named(capfd.readouterr().out) == {
        str(folder / "b" / "0.jpg"): "its decoder hangs (not done after 1 s); convert or remove it"
    }


def test_a_crash_that_no_file_causes_alone_is_told(folder, monkeypatch, capfd):
    real = decoding.find_undecodable

    def find(images, *rest, **options):
        if len(images) > 1:
            os.abort()
        return real(images, *rest, **options)

    monkeypatch.setattr(decoding, "find_undecodable", find)
    assert main([str(folder)]) == 0
    printed = capfd.readouterr()
    assert (
        "warning: the decoder crashes (SIGABRT) with these files together, and with none of them alone" in printed.err
    )
    assert f"{folder}/a/00.jpg" in printed.err
    assert "and 14 more" in printed.err
    assert printed.out == "24 images checked, 0 of them bad\n"


def test_what_is_no_file_is_named_and_waits_for_nothing(folder, capfd):
    os.mkfifo(folder / "a" / "fifo.jpg")
    (folder / "b" / "device.jpg").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "c" / "socket.jpg"))
    with (folder / "d" / "sparse.jpg").open("wb") as file:
        file.truncate(200 << 30)
    done = run_check(folder, timeout=60)
    assert named(done.stdout) == {
        f"{folder}/a/fifo.jpg": "a FIFO (named pipe), not a regular file",
        f"{folder}/b/device.jpg": "a device, not a regular file",
        f"{folder}/c/socket.jpg": "a socket, not a regular file",
        f"{folder}/d/sparse.jpg": "214748364800 bytes, more than max_bytes=1073741824",
    }
    assert done.stdout.endswith("28 images checked, 4 of them bad: 4 not supported\n")


def test_a_limit_of_bytes_of_ones_own(folder, capfd):
    largest = max(folder.glob("*/*.jpg"), key=lambda path: path.stat().st_size)
    size = largest.stat().st_size
    assert main([str(folder), f"--max-bytes={size - 1}"]) == 1
    assert named(capfd.readouterr().out) == {str(largest): f"{size} bytes, more than max_bytes={size - 1}"}


HANGS = """
import signal, sys
from dali_cutmix.check import decoding, main
from tests.helpers.checking import ends_its_process
decoding.find_undecodable = ends_its_process(signal.SIGCONT, decoding.find_undecodable)
sys.exit(main(sys.argv[1:]))
"""


def children(pid):
    """The processes that a process started."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def test_ctrl_c_ends_the_command_and_its_processes(folder):
    (folder / "b" / "0.jpg").write_bytes(b"crash")
    command = [sys.executable, "-c", HANGS, str(folder), "--workers=2"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True, text=True) as parent:
        until = time.monotonic() + 60
        while not (found := children(parent.pid)) and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.2)
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does
        errors = parent.communicate(timeout=30)[1]
    assert parent.returncode == 130
    assert "Traceback" not in errors
    assert "stopped before the end" in errors
    assert found
    assert are_gone(found)

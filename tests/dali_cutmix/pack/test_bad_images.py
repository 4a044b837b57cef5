"""Images that cannot be packed: one plain line for each, with nothing of Pillow's, and no crash or wait."""

import errno
import io
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dali_cutmix.pack import encode
from tests.helpers import ROOT, tally
from tests.helpers.bad_files import BAD, encoded, photo
from tests.helpers.packing import pack


@pytest.fixture
def folder(tmp_path):
    """Two good files."""
    root = tmp_path / "src"
    for name in ("a/0.jpg", "b/0.jpg"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes(photo())
    return root


def lines(text):
    """Path and reason of each line that is about a file."""
    return dict(line.split(": ", 1) for line in text.splitlines() if line[:1] == "/" and "%|" not in line)


def test_no_image_is_called_bad_for_an_error_of_the_process(folder, tmp_path, monkeypatch, capfd):
    def fail(path, *_):
        raise OSError(errno.EMFILE, "Too many open files", str(path))

    monkeypatch.setattr(encode, "read_regular", fail)
    assert pack(folder, tmp_path / "out", workers=1) == 1
    printed = capfd.readouterr().err
    assert "cannot be packed" not in printed
    assert "error: [Errno 24] could not be written (Too many open files); fix that and run the same" in printed


def tiff(*, damaged=False, **options):
    """A TIFF; if damaged, libtiff has a lot to say about it."""
    content = encoded(Image.fromarray(np.arange(3 * 64**2, dtype=np.uint8).reshape(64, 64, 3)), "TIFF", **options)
    return content[:200] + bytes(300) + content[500:] if damaged else content


def test_each_is_named_in_one_line_and_stderr_holds_nothing_else(folder, tmp_path):
    for what, write in BAD.items():
        if what == "GIF":  # Pillow reads it
            continue
        write(folder / "a" / f"{what}.jpg")
    os.mkfifo(folder / "a" / "fifo.jpg")
    (folder / "b" / "device.jpg").symlink_to("/dev/zero")
    (folder / "b" / "libtiff.tif").write_bytes(tiff(damaged=True, compression="tiff_lzw"))
    (folder / "b" / "png.png").write_bytes(encoded(Image.new("RGB", (20, 20)), "PNG")[:50])
    with (folder / "b" / "sparse.jpg").open("wb") as file:
        file.truncate(200 << 30)
    (folder / "b" / "\x1b[31m.jpg").write_bytes(b"no picture")
    command = [sys.executable, "-m", "dali_cutmix.pack", str(folder), str(tmp_path / "out"), "--workers=2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    found = lines(done.stderr)
    bad = {*folder.glob("*/*.*")} - {folder / "a" / "0.jpg", folder / "b" / "0.jpg"}
    assert set(found) == {str(path).replace("\x1b", "\\x1b") for path in bad}
    assert len(found) == len(re.findall(r"^/(?!.*%\|)", done.stderr, re.MULTILINE))  # one line for each
    others = [line for line in done.stderr.splitlines() if line and line[0] != "/"]
    assert [line.split(".")[0] for line in others] == [f"error: {len(bad)} of {len(bad) + 2} images cannot be packed"]
    assert "0x" not in done.stderr
    assert found[f"{folder}/a/text.jpg"] == "not an image, or in a format that Pillow does not read"
    assert found[f"{folder}/a/fifo.jpg"] == "a FIFO (named pipe), not a regular file"
    assert found[f"{folder}/b/device.jpg"] == "a device, not a regular file"
    assert found[f"{folder}/b/sparse.jpg"] == "214748364800 bytes, more than max_bytes=1073741824"
    assert found[f"{folder}/a/link to nowhere.jpg"] == "No such file or directory"
    tally.count("bad", len(bad))


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL"])
def test_one_that_ends_its_worker_is_named_and_the_others_are_tried(folder, tmp_path, monkeypatch, capsys, name):
    real = encode.shrink

    def shrink(path, *rest):
        if path.name == "crash.jpg":
            os.kill(os.getpid(), signal.Signals[name])
        return real(path, *rest)

    monkeypatch.setattr(encode, "shrink", shrink)
    (folder / "a" / "crash.jpg").write_bytes(photo())
    (folder / "b" / "text.jpg").write_bytes(b"no picture")
    assert pack(folder, tmp_path / "out", samples_per_shard=1) == 1
    found = lines(capsys.readouterr().err)
    assert list(found) == [f"{folder}/a/crash.jpg", f"{folder}/b/text.jpg"]
    assert found[f"{folder}/a/crash.jpg"].startswith(f"its decoder crashes ({name}")
    assert len(list((tmp_path / "out").glob("*.tar"))) == 2
    tally.count("kills")


def test_large_ones_are_packed_without_a_warning_of_pillow(folder, tmp_path, monkeypatch, capfd):
    stream = io.BytesIO()
    Image.new("L", (200, 200)).save(stream, "PNG")
    (folder / "a" / "large.png").write_bytes(stream.getvalue())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30_000)
    assert pack(folder, tmp_path / "out") == 0
    assert "Warning" not in capfd.readouterr().err


def test_where_nothing_can_be_written_it_says_so(folder, capsys):
    assert pack(folder, "/proc/out") == 1
    printed = capsys.readouterr().err
    assert printed.startswith("error: [Errno")
    assert "/proc/out" in printed

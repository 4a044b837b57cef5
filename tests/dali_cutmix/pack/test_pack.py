"""python -m dali_cutmix.pack: every image once, whatever stops the command, which goes on where it stopped."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dali_cutmix.pack import encode, writer
from dali_cutmix.pack.writer import write_shard
from dali_cutmix.sources import manifest
from dali_cutmix.sources.image_folder import scan_folder
from dali_cutmix.sources.manifest import MANIFEST, UNFINISHED, Manifest, read_index
from dali_cutmix.sources.packed_folder import PackedFolder
from dali_cutmix.utils.atomic_files import write_atomically
from tests.helpers.images import save
from tests.helpers.packing import contents, pack

# One shard


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=2000), st.integers(0, 10**6)), min_size=1, max_size=6))
def test_what_is_written_is_read(tmp_path_factory, samples):
    """Bytes by the index, labels as the digits in the tar."""
    tar = tmp_path_factory.mktemp("one") / "shard-00000.tar"
    assert write_shard(tar, [(i, label, jpeg) for i, (jpeg, label) in enumerate(samples)]) == []
    offsets, sizes = read_index(tar, len(samples))
    content = tar.read_bytes()
    assert [content[o : o + n] for o, n in zip(offsets, sizes, strict=True)] == [jpeg for jpeg, _ in samples]
    with tarfile.open(tar) as archive:
        assert [int(archive.extractfile(f"{i:08d}.cls").read()) for i in range(len(samples))] == [
            label for _, label in samples
        ]
        assert {(info.mtime, info.uid, info.gid, info.uname) for info in archive} == {(0, 0, 0, "")}
    tar.unlink()


def test_the_index_is_that_of_dalis_own_tool(photo_folder, tmp_path):
    wds2idx = pytest.importorskip("wds2idx")
    assert pack(photo_folder, tmp_path / "out", samples_per_shard=10) == 0
    for tar in sorted((tmp_path / "out").glob("*.tar")):
        with wds2idx.IndexCreator(str(tar), str(tmp_path / "theirs.idx"), verbose=False) as creator:
            creator.create_index()
        assert (tmp_path / "theirs.idx").read_text() == tar.with_suffix(".idx").read_text()


# The command


def test_every_image_is_packed_with_its_label_in_sorted_order(photo_folder, tmp_path, capsys):
    assert pack(photo_folder, tmp_path / "new" / "out", samples_per_shard=7) == 0
    printed = capsys.readouterr()
    assert "24 images in 4 shards, complete" in printed.out
    assert "24/24" in printed.err
    files, labels, classes = scan_folder(photo_folder)
    shards = PackedFolder(tmp_path / "new" / "out")
    assert (list(shards.classes), shards.labels, len(shards)) == (classes, labels, 24)
    for number, file in enumerate(files):
        assert shards.packed_from(number) == file
        assert shards.read(number)[0].tobytes() == encode.shrink(photo_folder / file, 64, 90)
    made = json.loads((tmp_path / "new" / "out" / MANIFEST).read_bytes())
    assert (made["version"], made["short_side"], made["quality"]) == (manifest.VERSION, 64, 90)
    assert list(made["shards"].values()) == [7, 7, 7, 3]


def test_workers_change_no_bit(photo_folder, tmp_path):
    for workers in (1, 3):
        assert pack(photo_folder, tmp_path / str(workers), workers=workers, samples_per_shard=5) == 0
    assert contents(tmp_path / "1") == contents(tmp_path / "3")


def test_a_killed_run_goes_on_and_leaves_no_process(tmp_path, photos):
    for i in range(60):
        save(photos[i % 2], tmp_path / "src" / "ab"[i % 2] / f"{i}.png")
    out, options = tmp_path / "out", {"short_side": 300, "samples_per_shard": 4}
    command = [sys.executable, "-m", "dali_cutmix.pack", str(tmp_path / "src"), str(out), "--workers=2"]
    command += [f"--{k.replace('_', '-')}={v}" for k, v in options.items()]
    root = str(Path(encode.__file__).parents[2])
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": root}, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while len(list(out.glob("*.tar"))) < 3:
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.005)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert (out / UNFINISHED).exists()
    assert not (out / MANIFEST).exists()
    with pytest.raises(ValueError, match=r"not packed completely, \d+ of 15 shards are there\. Run the same command"):
        PackedFolder(out)
    finished = {path: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    assert 3 <= len(finished) < 15
    assert len(children) == 2
    while any(Path("/proc", child).exists() for child in children):
        assert time.monotonic() < until, "workers outlive the command"
        time.sleep(0.01)

    assert pack(tmp_path / "src", out, **options) == 0
    assert {path: path.stat().st_mtime_ns for path in finished} == finished, "what was finished is not written again"
    assert pack(tmp_path / "src", tmp_path / "straight", **options) == 0
    assert contents(out) == contents(tmp_path / "straight")


@pytest.fixture
def spoiled(photo_folder, tmp_path):
    """A copy of the photo folder with two bad images, and a folder for shards of five images."""
    source = shutil.copytree(photo_folder, tmp_path / "src")
    files = [source / file for file in scan_folder(source)[0]]
    files[6].write_bytes(files[6].read_bytes()[:700])
    files[21].write_text("no picture")
    return source, tmp_path / "out", [files[6], files[21]]


def test_all_bad_images_are_named_and_a_rerun_repeats_only_their_shards(spoiled, photo_folder, tmp_path, capsys):
    source, out, bad = spoiled
    assert pack(source, out, samples_per_shard=5) == 1
    printed = capsys.readouterr().err
    assert all(f"{path}: " in printed for path in bad)
    assert "error: 2 of 24 images cannot be packed. Repair or replace these files and run the same command" in printed
    whole = sorted(path.name for path in out.glob("*.tar"))
    assert whole == ["shard-00000.tar", "shard-00002.tar", "shard-00003.tar"]
    assert not list(out.glob(".*.tmp"))
    with pytest.raises(ValueError, match="not packed completely, 3 of 5 shards"):
        PackedFolder(out)
    before = {name: (out / name).stat().st_mtime_ns for name in whole}
    for path in bad:
        shutil.copy(photo_folder / path.relative_to(source), path)
    assert pack(source, out, samples_per_shard=5) == 0
    assert {name: (out / name).stat().st_mtime_ns for name in whole} == before
    assert pack(photo_folder, tmp_path / "straight", samples_per_shard=5) == 0
    assert contents(out) == contents(tmp_path / "straight")


def test_an_image_too_large_to_be_true_is_named(photo_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 8000)
    assert pack(photo_folder, tmp_path / "out") == 1
    assert "exceeds limit of 16000 pixels, could be decompression bomb" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["removed", "cut off", "without index"])
def test_a_finished_pack_is_mended_by_the_same_command(photo_folder, tmp_path, damage):
    out = tmp_path / "out"
    pack(photo_folder, out, samples_per_shard=5)
    before = contents(out)
    tar = out / "shard-00002.tar"
    if damage == "cut off":
        os.truncate(tar, 4000)
    else:
        (tar if damage == "removed" else tar.with_suffix(".idx")).unlink()
    assert pack(photo_folder, out, samples_per_shard=5) == 0
    assert contents(out) == before


def test_a_full_disk_is_an_error_that_says_how_to_go_on(photo_folder, tmp_path, capsys):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        assert pack(photo_folder, tmp_path / "out") == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    printed = capsys.readouterr().err
    assert "could not be written (File too large); fix that and run the same command again" in printed
    assert str(tmp_path / "out" / "shard-00000.tar") in printed
    assert pack(photo_folder, tmp_path / "out") == 0


def test_a_manifest_that_cannot_be_written_leaves_the_one_before(tmp_path):
    path = tmp_path / MANIFEST
    write_atomically(path, b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match=r"could not be saved \(File too large\); the previous one is intact: .*json"):
            write_atomically(path, bytes(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert contents(tmp_path) == {MANIFEST: b"old"}


def test_ctrl_c_says_how_to_go_on(photo_folder, tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(writer, "write_shard", interrupted)
    assert pack(photo_folder, tmp_path / "out") == 130
    assert "stopped; run the same command again to continue" in capsys.readouterr().err


def test_names_may_hold_anything(tmp_path):
    names = ["a b/it's 1, 2.jpg", "übung/ß ✓.jpg", "x=y;z/#1.jpg", os.fsdecode(b"z/\xff.jpg")]
    for name in names:
        save(Image.new("RGB", (8, 8)), tmp_path / "src" / name)
    assert pack(tmp_path / "src", tmp_path / "out") == 0
    assert Manifest.read(tmp_path / "out" / MANIFEST).files == sorted(names)

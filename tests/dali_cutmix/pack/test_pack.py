"""Pack: smaller JPEGs in shards, whatever stops it, and what it refuses."""

import io
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

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from dali_cutmix.pack import encode, writer
from dali_cutmix.pack.cli import main
from dali_cutmix.pack.writer import write_shard
from dali_cutmix.sources import manifest
from dali_cutmix.sources.image_folder import scan_folder
from dali_cutmix.sources.manifest import MANIFEST, UNFINISHED, Manifest, read_index
from dali_cutmix.sources.packed_folder import PackedFolder
from dali_cutmix.utils.atomic_files import write_atomically
from tests.helpers.images import save


def pack(source, out, **options):
    """The command in this process; its exit status."""
    options = {"workers": 2, "short_side": 64} | options
    return main([str(source), str(out), *(f"--{k.replace('_', '-')}={v}" for k, v in options.items())])


def contents(folder):
    """The bytes of every file of a packed folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# One image


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 427), (150, 100)),
        ((427, 640), (100, 150)),
        ((333, 333), (100, 100)),
        ((1000, 101), (990, 100)),
        ((101, 2000), (100, 1980)),
        ((100, 700), (100, 700)),
        ((60, 40), (60, 40)),
        ((1, 1), (1, 1)),
    ],
)
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_the_shorter_side_is_the_one_asked_for_and_nothing_is_enlarged(tmp_path, size, expected, suffix):
    path = tmp_path / f"a{suffix}"
    save(Image.new("RGB", size, (9, 99, 199)), path)
    assert Image.open(io.BytesIO(encode.shrink(path, 100, 90))).size == expected


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_small_plain_jpeg_keeps_its_bytes_unless_encoding_it_again_makes_them_fewer(tmp_path, photos, mode):
    save(Image.fromarray(photos[1][200:280, 200:320]).convert(mode), tmp_path / "a.jpg", quality=80)
    before = (tmp_path / "a.jpg").read_bytes()
    assert encode.shrink(tmp_path / "a.jpg", 80, 90) == before
    assert encode.shrink(tmp_path / "a.jpg", 79, 90) != before
    assert len(encode.shrink(tmp_path / "a.jpg", 80, 30)) < 0.7 * len(before)


def rotated():
    exif = Image.Exif()
    exif[0x0112] = 6
    return {"exif": exif}


SMALL = {
    "progressive": (".jpg", "RGB", lambda: {"progressive": True, "comment": b"by me"}),
    "CMYK": (".jpg", "CMYK", dict),
    "rotated": (".jpg", "RGB", rotated),
    "PNG": (".png", "RGB", dict),
    "transparent": (".png", "RGBA", dict),
    "palette": (".png", "P", dict),
    "WebP": (".webp", "RGB", dict),
}


@pytest.mark.parametrize("kind", SMALL)
def test_everything_else_becomes_an_upright_plain_jpeg(tmp_path, photos, kind):
    suffix, mode, options = SMALL[kind]
    path = tmp_path / f"a{suffix}"
    save(Image.fromarray(photos[0][:80, :120]).convert(mode), path, **options())
    small = Image.open(io.BytesIO(encode.shrink(path, 100, 95)))
    assert (small.format, small.mode) == ("JPEG", "RGB")
    assert small.size == ((80, 120) if kind == "rotated" else (120, 80))
    assert not {"progressive", "exif", "comment", "icc_profile"} & set(small.info)
    assert [layer[1:3] for layer in small.layer] == [(2, 2), (1, 1), (1, 1)], "4:2:0"
    expected = np.asarray(Image.open(path).convert("RGB").convert("L"), np.float32)
    if kind == "rotated":
        expected = np.rot90(expected, -1)
    assert np.abs(np.asarray(small.convert("L"), np.float32) - expected).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_every_orientation_is_turned_upright(tmp_path, photos, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    save(Image.fromarray(photos[1][:200, :300]), path, exif=exif)
    with Image.open(path) as image:
        expected = ImageOps.exif_transpose(image).convert("L")
    small = Image.open(io.BytesIO(encode.shrink(path, 100, 100))).convert("L")
    assert small.size == tuple(side // 2 for side in expected.size)
    expected = expected.resize(small.size, Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(small, np.float32) - np.asarray(expected, np.float32)).mean() < 3


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_damaged_exif_block_is_passed_over_as_decoders_do(tmp_path, photos):
    """Whatever two bytes of it are: what Pillow makes of some raises errors of many kinds."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x8769] = 6, "a picture", {0x9003: "2020:01:01 00:00:00"}
    save(Image.fromarray(photos[0][:80, :120]), tmp_path / "a.jpg", exif=exif)
    content = bytearray((tmp_path / "a.jpg").read_bytes())
    start, length = content.index(b"Exif"), int.from_bytes(content[4:6], "big")
    random = np.random.default_rng(0)
    for _ in range(150):
        damaged = content.copy()
        for at in random.integers(start + 6, start + length - 2, 2):
            damaged[at] = random.integers(256)
        (tmp_path / "b.jpg").write_bytes(damaged)
        small = Image.open(io.BytesIO(encode.shrink(tmp_path / "b.jpg", 40, 90)))
        assert sorted(small.size) == [40, 60]


@pytest.mark.parametrize("short_side", [200, 100, 40])
def test_decoding_at_a_smaller_size_first_is_hardly_seen(tmp_path, photos, short_side):
    save(photos[1], tmp_path / "a.jpg")
    size = round(640 * short_side / 427), short_side
    slow = Image.open(tmp_path / "a.jpg").resize(size, Image.Resampling.LANCZOS).convert("L")
    fast = Image.open(io.BytesIO(encode.shrink(tmp_path / "a.jpg", short_side, 100))).convert("L")
    assert np.abs(np.asarray(fast, np.float32) - np.asarray(slow, np.float32)).mean() < 1.5


@pytest.mark.parametrize("suffix", [".png", ".pgm"])
def test_sixteen_bits_become_eight(tmp_path, suffix):
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    path = tmp_path / f"a{suffix}"
    Image.fromarray(ramp).save(path)
    small = np.asarray(Image.open(io.BytesIO(encode.shrink(path, 100, 100))), int)
    assert np.abs(small[..., 0] - (ramp >> 8)).max() <= 3


def test_pixels_without_a_range_are_refused(tmp_path):
    Image.fromarray(np.ones((8, 8), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="pixels of mode F have no fixed range; convert it to 8 bits"):
        encode.shrink(tmp_path / "a.tif", 100, 90)


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


def die(path, **_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_ends_the_command(photo_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(encode, "shrink", die)
    assert pack(photo_folder, tmp_path / "out") == 1
    message = "error: a worker process was killed, most likely because memory ran out: --workers 2 given. Run the"
    assert message in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(photo_folder, tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(writer, "write_shard", interrupted)
    assert pack(photo_folder, tmp_path / "out") == 130
    assert "stopped; run the same command again to continue" in capsys.readouterr().err


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
    assert "nowhere: no such folder; wanted is a folder with one" in refused(tmp_path / "nowhere", out, capsys)
    assert "empty: it is empty; wanted is a folder with one subfolder" in refused(tmp_path / "empty", out, capsys)
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


def test_names_may_hold_anything(tmp_path):
    names = ["a b/it's 1, 2.jpg", "übung/ß ✓.jpg", "x=y;z/#1.jpg", os.fsdecode(b"z/\xff.jpg")]
    for name in names:
        save(Image.new("RGB", (8, 8)), tmp_path / "src" / name)
    assert pack(tmp_path / "src", tmp_path / "out") == 0
    assert Manifest.read(tmp_path / "out" / MANIFEST).files == sorted(names)

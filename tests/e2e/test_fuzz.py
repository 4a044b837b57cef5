"""Damaged files by the thousand: whatever they hold, the process goes on, and no good sample is lost."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

import dali_cutmix as dc
from tests.helpers import ROOT, tally
from tests.helpers.damage import damaged, original
from tests.helpers.images import save

SCRIPT = ROOT / "tests" / "helpers" / "fuzz_run.py"
BATCH = 64
PATIENCE = 240  # seconds
MEMORY = 1.5 * 2**30  # without a bomb it is half of that; the smallest bomb takes 1.2 GB

KINDS = ["val", "train", "fused"] if dc.can_fuse(None, None) else ["val", "train"]


class File(NamedTuple):
    path: str
    what: str  # how it is damaged; empty for a good one
    hopeless: bool = False


class Done(NamedTuple):
    status: int | str
    output: str
    errors: str


def write_files(folder, seed, jpegs, others):
    """Damaged files, a good one after every second of them, in whole batches; a good one's level is its position's."""
    folder.mkdir()
    files = []
    for number, (what, hopeless, content) in enumerate(damaged(seed, jpegs, others)):
        path = folder / f"{number:05d}.img"
        path.write_bytes(content)
        files.append(File(str(path), what, hopeless))
        while number % 2 or (number == jpegs + others - 1 and len(files) % BATCH):
            path = folder / f"good{len(files):05d}.jpg"
            save(Image.new("RGB", (40, 30), (len(files) % 256,) * 3), path)
            files.append(File(str(path), ""))
            if number % 2 and (number < jpegs + others - 1 or not len(files) % BATCH):
                break
    return files


def read(kind, files, log, patience=PATIENCE, script=SCRIPT):
    """Read files in a process of its own."""
    listing = log.with_suffix(".list")
    listing.write_text(json.dumps([file.path for file in files]))
    command = [sys.executable, str(script), kind, str(listing), str(log)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=environment, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired:
        return Done(f"no end within {patience} s", "", "")
    return Done(done.returncode, done.stdout, done.stderr)


def narrowed(kind, files, log, **how):
    """The fewest files that still end the process as found by halving; all of them where no half does."""
    while len(files) > 1:
        halves = files[: len(files) // 2], files[len(files) // 2 :]
        culprits = [half for half in halves if read(kind, half, log, **how).status != 0]
        if not culprits:
            break
        files = culprits[0]
    return files


def explain(kind, files, log, seed, done, **how):
    few = narrowed(kind, [file for file in files if file.what], log.with_suffix(".narrowed"), **how)
    named = "\n".join(f"{file.path} ({file.what})" for file in few[:10])
    return (
        f"{kind}, seed {seed}: exit status {done.status}, by one of {len(few)} files:\n{named}\n{done.errors[-2000:]}"
    )


def check(kind, files, log, seed):
    """Read one epoch; every good sample came, every other one came or is recorded."""
    done = read(kind, files, log)
    assert done.status == 0, explain(kind, files, log, seed, done, patience=60)
    found = json.loads(done.output)
    delivered = {files[label].path for label in found["labels"]}
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    recorded = {entry["path"]: entry["reason"] for entry in entries}
    told = f"{kind}, seed {seed}"

    assert len(found["labels"]) == len(files), told
    tally.assert_none_lost({file.path for file in files if not file.what}, delivered)
    tally.assert_none_lost({file.path for file in files if file.what} - recorded.keys(), delivered)
    assert not recorded.keys() & delivered, f"{told}: recorded as bad, and still delivered"
    assert len(entries) == len(recorded), f"{told}: recorded twice"
    assert all(recorded.values()), f"{told}: without a reason"
    by_path = {file.path: file for file in files}
    assert all(by_path[path].what for path in recorded), f"{told}: good files are recorded"
    hopeless = [file for file in files if file.hopeless and file.path in delivered]
    assert not hopeless, f"{told}: no image can be in these"
    assert found["memory"] < MEMORY, f"{told}: {found['memory'] / 2**20:.0f} MiB"
    if kind == "val":
        good = [i for i, label in enumerate(found["labels"]) if not files[label].what]
        levels = np.array(found["levels"])[good]
        assert np.abs(levels - np.array(found["labels"])[good] % 256).max() < 3, f"{told}: pixels of another sample"
    tally.count("bad", sum(bool(file.what) for file in files))


def check_all(tmp_path, parts, seed):
    """``parts`` are files by kind of pipeline; all kinds are read side by side."""
    with ThreadPoolExecutor() as pool:
        kinds = {kind: pool.submit(check, kind, files, tmp_path / f"{kind}.log", seed) for kind, files in parts.items()}
    for kind in kinds.values():
        kind.result()


def test_five_hundred_damaged_jpegs_cost_no_good_sample(tmp_path):
    """Each through one of the three pipelines, and some of other formats."""
    share = -(-500 // len(KINDS))
    parts = {kind: write_files(tmp_path / kind, i, share, 20) for i, kind in enumerate(KINDS)}
    check_all(tmp_path, parts, seed=f"0 to {len(KINDS) - 1}")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [100, 101])
def test_thousands_of_damaged_files_through_every_pipeline(tmp_path, seed):
    files = write_files(tmp_path / "files", seed, 1300, 200)
    check_all(tmp_path, dict.fromkeys(KINDS, files), seed)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_file_that_decodes_as_a_whole_and_not_in_part_is_replaced(tmp_path, kind):
    """A BMP of 0 bits for each pixel, which a thousand random ones found."""
    files = []
    bmp = bytearray(original("BMP", (1, 1)))
    bmp[26:30] = bytes(4)
    path = tmp_path / "0.bmp"
    path.write_bytes(bmp)
    for number in range(7):
        save(Image.new("RGB", (40, 30)), tmp_path / f"{number}.jpg")
        files.append(File(str(tmp_path / f"{number}.jpg"), ""))
    check(kind, [*files, File(str(path), "BMP 1×1, zeroed", True)], tmp_path / "log", 0)


# That it would be found out


def test_the_same_seed_damages_the_same_way():
    one, again, other = (list(damaged(seed, 30, 5)) for seed in (7, 7, 8))
    assert one == again
    assert one != other
    spoiled = [content for _, _, content in one]
    assert len(set(spoiled)) > 30
    assert not {original("4:2:0", (96, 80))} & set(spoiled)


FALLS = """
import os, sys, json, time
files = json.load(open(sys.argv[2]))
if any(open(path, "rb").read() == b"spoiled" for path in files):
    {what}
"""


@pytest.mark.parametrize(
    ("what", "status"), [("os.abort()", "-6"), ("time.sleep(60)", "no end within 2 s")], ids=["crash", "hang"]
)
def test_a_file_that_ends_the_process_is_named(tmp_path, what, status):
    script = tmp_path / "falls.py"
    script.write_text(FALLS.format(what=what))
    files = []
    for number in range(8):
        path = tmp_path / f"{number}.img"
        path.write_bytes(b"spoiled" if number == 5 else b"harmless")
        files.append(File(str(path), "some damage"))
    how = {"patience": 2, "script": script}
    done = read("val", files, tmp_path / "log", **how)
    told = explain("val", files, tmp_path / "log", 3, done, **how)
    assert told.startswith(f"val, seed 3: exit status {status}, by one of 1 files:\n{tmp_path}/5.img (some damage)\n")

"""Memory: a process holds no more after 50 epochs than after 5, and no image is mistaken for a decompression bomb."""

import subprocess
import sys

import pytest

from tests.helpers import ROOT, tally
from tests.helpers.bad_files import BAD, GOOD

SCRIPT = """
import os, sys
import dali_cutmix as dc
from pipelines import imagenet

root, fused = sys.argv[1], sys.argv[2] == "fused"
loader = imagenet.train(root, batch_size=8, size=64, device="cpu", num_threads=2, fused=fused)

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

for epoch in range(1, 51):
    for images, targets in loader:
        pass
    if epoch in (5, 50):
        print(resident())
"""


@pytest.mark.parametrize("way", ["fused", "unfused"])
def test_resident_memory_after_50_epochs_is_within_2_percent_of_that_after_5(photo_folder, way):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(photo_folder), way], capture_output=True, text=True, check=True, cwd=ROOT
    )
    after_5, after_50 = map(int, done.stdout.split())
    assert after_50 <= 1.02 * after_5, f"{after_5 / 2**20:.0f} MiB after 5 epochs, {after_50 / 2**20:.0f} after 50"


BOMB = """
import re, sys
from pipelines import imagenet

root, kind = sys.argv[1:]
replacing = {"on_error": "replace", "max_bad": 0.5, "bad_log": root + "/bad"}
options = {"batch_size": 4, "size": 16, "device": "cpu", **replacing}
val, train = (lambda: imagenet.val(root, resize=16, **options)), lambda: imagenet.train(root, **options)
for batch in (val if kind == "val" else train)():
    pass
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]
print(int(peak) // 1024, open(root + "/bad").read())
"""


@pytest.mark.parametrize("kind", ["val", "train"])
def test_an_image_of_20000_by_20000_pixels_is_refused_before_memory_is_taken_for_it(tmp_path, kind):
    """Decoded it is 1,144 MiB; a whole run stays below that."""
    for i in range(8):
        GOOD["gray"](tmp_path / f"{i}.jpg")
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / f"{i}.jpg").rename(tmp_path / "a" / f"{i}.jpg")
    BAD["bomb"](tmp_path / "a" / "3.jpg")
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(tmp_path), kind], capture_output=True, text=True, check=True, cwd=ROOT
    )
    peak, recorded = done.stdout.split(" ", 1)
    assert int(peak) < 1100
    assert "20000×20000 pixels, more than max_pixels=178956970" in recorded
    tally.count("bad")

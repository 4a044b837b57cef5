"""Memory of a long run: what a process holds after 5 epochs it holds after 50."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

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

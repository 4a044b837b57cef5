"""The compiled pass under the address and undefined-behaviour sanitizers: crops and batches end where they end."""

import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from tests.helpers import ROOT, host_kernel

SCRIPT = """
import ctypes, sys
import numpy as np, torch
import dali_cutmix as dc
from dali_cutmix.fused import cpu
from dali_cutmix.mixing.plan import HOLE

library = ctypes.CDLL(sys.argv[1])
cpu._library = lambda: library
random = np.random.default_rng(0)
for i in range(200):
    n, size, most = random.integers(1, 6), int(random.integers(1, 70)), (3, 20, 90, 600)[i % 4]
    crops = [random.integers(0, 256, (*random.integers(1, most + 1, 2), 3), dtype=np.uint8) for _ in range(n)]
    plan = np.zeros((n, 7), np.int32)
    plan[:, 0] = random.integers(HOLE, n, n)
    plan[:, [1, 3]] = np.sort(random.integers(0, size + 1, (n, 2)), 1)
    plan[:, [2, 4]] = np.sort(random.integers(0, size + 1, (n, 2)), 1)
    plan[:, 5] = random.integers(0, 2, n)
    plan[:, 6] = np.where((random.random(n) < 0.5) | (plan[:, 0] == HOLE), 0, random.integers(0, 65537, n))
    corners = [random.integers(0, crop.shape[:2]) for crop in crops]
    sides = [random.integers(1, np.array(crop.shape[:2]) - at + 1) for crop, at in zip(crops, corners)]
    windows = np.concatenate([corners, sides], 1) if i % 2 else None
    images = []
    for simple in (False, True):
        dtype = (torch.float32, torch.float16, torch.bfloat16)[i % 3]
        finish = dc.Resample(size, dtype=dtype, channels_last=bool(i % 2), num_threads=1 + i % 3)
        finish._on_cpu.simple = simple
        images.append(finish(crops, plan, windows).float())
    assert (images[0] - images[1]).abs().max() < 0.02, i
print("no finding")
"""


def runtime(name):
    """Path of a sanitizer's library; empty where the compiler has none."""
    found = subprocess.run([host_kernel.compiler(), f"-print-file-name={name}"], capture_output=True, text=True)
    path = found.stdout.strip()
    return path if Path(path).is_absolute() else ""


def test_no_byte_beyond_a_crop_or_a_batch_is_touched(tmp_path):
    if host_kernel.compiler() is None:
        pytest.skip("needs a C++ compiler")
    preloaded = [runtime(name) for name in ("libasan.so", "libubsan.so")]
    if not all(preloaded):
        pytest.skip("the C++ compiler has no libasan.so or libubsan.so")
    library = tmp_path / "sanitized.so"
    flags = ["-O1", "-g", "-std=c++17", "-w", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    source = str(files("dali_cutmix.fused").joinpath("resample.cpp"))
    subprocess.run([host_kernel.compiler(), *flags, "-shared", "-fPIC", source, "-o", str(library)], check=True)
    environment = {"LD_PRELOAD": " ".join(preloaded), "ASAN_OPTIONS": "detect_leaks=0"}
    root = ROOT
    command = [sys.executable, "-c", SCRIPT, str(library)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False, cwd=root)
    assert done.stdout.endswith("no finding\n"), done.stderr[-3000:]

"""``python -m bench startup``: how much time and memory a loader of ImageNet's length needs to start."""

import json as json_module
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench.common.cli import check_minimum, new_result, write_json

IMAGENET = 1_281_167
"""Images of ImageNet's training set."""
_CLASSES = 1000

_START = """
import json, re, sys, time
from pipelines import imagenet
import dali_cutmix as dc

root, samples = sys.argv[1], int(sys.argv[2])
if samples:
    files = [(f"{root}/{i % 1000:04d}/{i:08d}.jpg", i % 1000) for i in range(samples)]
    source = lambda **order: dc.read_files(files, **order)
else:
    source = root
began = time.perf_counter()
batches = len(imagenet.train(source, batch_size=256, device="cpu"))
seconds = time.perf_counter() - began
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 2**20
print(json.dumps({"batches": batches, "seconds": seconds, "peak_gib": peak}))
"""


def startup(samples: int = IMAGENET, rounds: int = 3, json: Path | None = None) -> int:
    """Measure the time until ``len(loader)`` is known, nothing decoded: a list, and a folder scanned and remembered.

    Each measurement is a process of its own. The time does not include imports; the peak of resident memory does.

    Args:
        samples: number of empty files, in 1000 classes.
        rounds: measurements of each kind.
        json: file for the measurements.
    """
    check_minimum(_CLASSES, samples=samples)
    check_minimum(1, rounds=rounds)
    found: dict[str, list[dict[str, float]]] = {"list": [], "folder": [], "folder, remembered": []}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "train")
        _make(root, samples)
        for number in range(rounds):
            cache = Path(scratch, f"cache{number}")
            found["list"].append(_start(root, samples, cache))
            found["folder"].append(_start(root, 0, cache))
            found["folder, remembered"].append(_start(root, 0, cache))
    result = new_result("startup", "cpu", {"samples": samples, "rounds": rounds, "batch_size": 256}) | {"starts": found}
    for kind, runs in found.items():
        print(f"{kind:20}{_spread(runs, 'seconds'):>26} s{_spread(runs, 'peak_gib'):>28} GiB")
    if json:
        write_json(json, result)
    return 0


def _make(root: Path, samples: int) -> None:
    """Make empty files in folders and wait until their last change is so long ago that their scan is remembered."""
    folders = [root / f"{label:04d}" for label in range(_CLASSES)]
    for label, folder in enumerate(folders):
        folder.mkdir(parents=True)
        for number in range(label, samples, _CLASSES):
            os.close(os.open(folder / f"{number:08d}.jpg", os.O_CREAT | os.O_WRONLY))
    time.sleep(3)


def _start(root: Path, samples: int, cache: Path) -> dict[str, Any]:
    here = Path(__file__).resolve().parents[1]
    environment = os.environ | {"PYTHONPATH": str(here), "XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-c", _START, str(root), str(samples)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json_module.loads(done.stdout)


def _spread(runs: list[dict[str, float]], name: str) -> str:
    values = [run[name] for run in runs]
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"

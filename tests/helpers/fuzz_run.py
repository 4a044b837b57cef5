"""A program that reads files through a real pipeline, so that a crash ends it and not the tests."""

import json
import re
import sys
from functools import partial
from pathlib import Path

import dali_cutmix as dc
from pipelines import imagenet

MAX_PIXELS = 1_000_000


def main(kind: str, listing: str, log: str) -> None:
    """One epoch over the files of ``listing``; prints the label of every delivered sample, and what it cost."""
    with Path(listing).open() as lines:
        files = json.load(lines)
    how = {"batch_size": min(64, len(files)), "size": 32, "device": "cpu", "num_threads": 2, "max_pixels": MAX_PIXELS}
    bad = {"on_error": "replace", "max_bad": 1.0, "bad_log": log}
    read = partial(dc.read_files, [(path, label) for label, path in enumerate(files)])
    if kind == "val":
        loader = imagenet.val(read, resize=32, **how, **bad)
    else:
        loader = imagenet.train(read, fused=kind == "fused", targets="pairs", **how, **bad)
    labels, levels = [], []
    for images, given, *_ in loader:
        labels += (given if given.ndim == 1 else given[:, 0]).tolist()
        levels += (images.mean(dim=(2, 3)) * 0.226 + 0.449).mul(255).mean(dim=1).tolist()
    # Not ru_maxrss: that begins at what the tests' process held when it started this one.
    status = Path("/proc/self/status").read_text()
    memory = int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024
    print(json.dumps({"labels": labels, "levels": levels, "memory": memory}))


if __name__ == "__main__":
    main(*sys.argv[1:])

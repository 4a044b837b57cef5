"""A program that opens damaged data sets and reads them once, so that a crash or a hang ends it and not the tests."""

import json
import re
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import dali_cutmix as dc
from pipelines import imagenet


def reader(kind: str, folder: Path) -> Callable[..., Any]:
    """The function that reads a data set, without its paths."""
    match kind:
        case "folder":
            return partial(dc.read_folder, folder)
        case "csv":
            return partial(dc.read_csv, folder / "labels.csv", image="image", label="label")
        case "webdataset":
            return partial(dc.read_webdataset, folder / "train-000.tar")
        case "tfrecord":
            return partial(dc.read_tfrecord, folder / "train-00000-of-00009", first_label=1)
    return partial(dc.read_recordio, folder / "train.rec")


def read(kind: str, folder: Path, on_error: str) -> int:
    """Read a data set; the number of samples."""
    bad = {"on_error": on_error, "max_bad": 1.0, "bad_log": folder / "bad.jsonl", "retry": 0.1}
    how = {"batch_size": 4, "size": 8, "resize": 8, "device": "cpu", "num_threads": 1}
    return sum(len(images) for images, *_ in imagenet.val(reader(kind, folder), **how, **bad))


def main(listing: str, patience: str) -> None:
    """Read each data set of ``listing``, and print what came of it; a hang ends the program by SIGALRM."""
    for number, (kind, folder, what) in enumerate(json.loads(Path(listing).read_text())):
        print(json.dumps({"case": folder}), flush=True)
        signal.alarm(int(patience))
        began, found = time.monotonic(), {"what": f"{kind}: {what}", "folder": folder}
        try:
            found["samples"] = read(kind, Path(folder), "replace" if number % 3 == 0 else "raise")
        except Exception as error:
            found |= {"error": [kind.__name__ for kind in type(error).__mro__], "message": str(error)}
        signal.alarm(0)
        memory = int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
        print(json.dumps(found | {"seconds": time.monotonic() - began, "memory": memory}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

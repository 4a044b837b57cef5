"""Check that every image of a data set can be decoded, and name those that cannot.

    python -m dali_cutmix.check /data/imagenet/train

The images are decoded completely by the decoder that training uses on a CPU: the files it names would fail in training.
"""

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, get_args

from dali_cutmix.bad_samples import Fault
from dali_cutmix.check.data_set import Kind, Reading, open_source
from dali_cutmix.check.decoding import check
from dali_cutmix.image_headers import ALL_FORMATS, FORMATS, check_formats
from dali_cutmix.ops import MAX_PIXELS
from dali_cutmix.sources import Source
from dali_cutmix.utils import (
    MAX_BYTES,
    ArgumentParser,
    check_regular,
    check_whole,
    printable,
    read_text,
    run_command,
    shown_paths,
    write_atomically,
)

_TIMEOUT = 300  # seconds
_LONGEST = 7 * 86_400  # a week; operating systems take no endless ones


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m dali_cutmix.check",
        description="Decode every image of a folder of classes, of shards or of record files, and name those that "
        "cannot be decoded. Exit status: 0 all are good, 1 some are bad, 2 there is nothing to check.",
    )
    parser.add_argument("paths", metavar="DIR", nargs="+", type=Path, help="folder, packed folder, or files of records")
    parser.add_argument("--kind", choices=get_args(Kind), help="format of DIR, if its ending does not say it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write paths, kinds and reasons to this file, too")
    work = parser.add_argument_group("limits")
    work.add_argument(
        "--formats",
        default=",".join(FORMATS),
        metavar="NAMES",
        help=f"formats that training decodes, with commas (default %(default)s; all: {','.join(ALL_FORMATS)})",
    )
    work.add_argument("--max-pixels", type=int, default=MAX_PIXELS, help=f"largest image (default {MAX_PIXELS})")
    work.add_argument("--max-bytes", type=int, default=MAX_BYTES, help=f"largest file (default {MAX_BYTES})")
    work.add_argument(
        "--workers", type=int, default=len(os.sched_getaffinity(0)), help="processes that decode; default: all cores"
    )
    work.add_argument(
        "--timeout", type=int, default=_TIMEOUT, metavar="SECONDS", help=f"longest time for a file (default {_TIMEOUT})"
    )
    records = parser.add_argument_group("records", "as read_webdataset and read_tfrecord take them")
    records.add_argument(
        "--image",
        action="append",
        metavar="NAME",
        help="extension of the image (webdataset; may be given several times), or name of its feature (TFRecord)",
    )
    records.add_argument(
        "--label",
        metavar="NAME",
        help="extension of the label's file (webdataset; default cls, where there are some), or name of its feature "
        "(TFRecord); a sample whose label is none is bad",
    )
    records.add_argument("--key", action="append", help="key of the label in JSON; may be given several times")
    records.add_argument("--classes", type=Path, metavar="FILE", help="names of all classes, one in a line")
    records.add_argument("--first-label", type=int, metavar="N", help="label of the first class (TFRecord)")
    records.add_argument("--missing", choices=("error", "skip"), help="samples without image or label (webdataset)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status. It forks: run it in a process without a running pipeline."""
    return run_command(lambda: _run(_parser().parse_args(arguments)), failed=2, interrupted="stopped before the end")


def _run(given: argparse.Namespace) -> int:
    if importlib.util.find_spec("tqdm") is None:
        raise ValueError("tqdm is not installed; checking needs pip install 'dali_cutmix[pack]'.")
    for name in ("max_pixels", "max_bytes", "workers"):
        check_whole(f"--{name.replace('_', '-')}", getattr(given, name))
    check_whole("--timeout", given.timeout, most=_LONGEST)
    if given.json:
        _try_to_write(given.json)
    formats = check_formats(given.formats.split(","))
    classes = given.classes and _names(given.classes)
    reading = Reading(given.image, given.label, given.missing, given.key, classes, given.first_label)
    source = open_source(given.paths, given.kind, reading, given.max_bytes)
    bad = _check_all(source, given.workers, given.timeout, max_pixels=given.max_pixels, formats=formats)
    if given.json:
        found = [{"path": path, **fault._asdict()} for path, fault in bad]
        write_atomically(given.json, json.dumps({"checked": len(source), "bad": found}, indent=1).encode())
    kinds = Counter(fault.kind for _, fault in bad)
    counts = ", ".join(f"{kinds[kind]} {kind}" for kind in ("damaged", "not supported", "missing") if kinds[kind])
    print(f"{len(source)} images checked, {len(bad)} of them bad{f': {counts}' if counts else ''}")
    return 1 if bad else 0


def _names(path: Path) -> list[str]:
    """The lines of a file, without empty ones.

    Raises:
        OSError, ValueError: it cannot be read, or has none.
    """
    found = [name.strip() for name in read_text(path).split("\n") if name.strip()]
    if not found:
        raise ValueError(f"{path}: no name in it; --classes takes the names of all classes, one in a line.")
    return found


def _try_to_write(path: Path) -> None:
    """Find out whether a file can be written there, before the long work.

    Raises:
        OSError: it cannot.
    """
    try:
        if path.exists():
            check_regular(path.stat(), path)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OSError(
            error.errno, f"--json cannot be written ({error.strerror}); give a file in a folder", str(path)
        ) from error


def _check_all(source: Source, workers: int, timeout: float, **limits: Any) -> list[tuple[str, Fault]]:
    """Check a data set and print each bad image when it is found; path and fault of all of them."""
    from tqdm import tqdm

    bad = []
    with tqdm(total=len(source), unit=" images") as bar:
        for checked in check(source, workers=workers, timeout=timeout, **limits):
            for number, fault in checked.faults.items():
                bad.append((source.name(number), fault))
                bar.write(printable(f"{bad[-1][0]}: {fault.reason}"), file=sys.stdout)
            if checked.crash:
                names = shown_paths(map(source.name, checked.numbers))
                together = "with these files together, and with none of them alone"
                bar.write(f"warning: {checked.crash.sentence('the decoder')} {together}: {names}", file=sys.stderr)
            bar.update(len(checked.numbers))
            bar.set_postfix_str(f"{len(bad)} bad")
    return bad

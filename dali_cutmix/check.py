"""Check that every image of a data set can be decoded, and name those that cannot.

    python -m dali_cutmix.check /data/imagenet/train

The images are decoded completely by the decoder that training uses on a CPU: the files it names would fail in training.
"""

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

import numpy as np

from dali_cutmix.bad_samples import CHUNK_IMAGES, Fault, chunks, find_undecodable
from dali_cutmix.ops import MAX_PIXELS
from dali_cutmix.sources import (
    PackedFolder,
    RecordIO,
    SampleError,
    Source,
    TFRecord,
    WebDataset,
    is_packed,
    list_folders,
    tar_extensions,
)
from dali_cutmix.utils import check_whole, in_order, is_compressed_tar, write_atomically

KINDS = ("folder", "webdataset", "tfrecord", "recordio")


def kind_of(path: Path) -> str:
    """Guess the format of a data set from its ending or from the files in the folder."""
    if path.is_dir():
        return "webdataset" if not is_packed(path) and _tars(path) else "folder"
    if path.suffix == ".tar" or is_compressed_tar(path):
        return "webdataset"
    return "recordio" if path.suffix == ".rec" else "tfrecord"


def _tars(folder: Path) -> list[Path]:
    """The tar files of a folder; where it holds nothing else, compressed ones, which are refused when opened."""
    entries = sorted(folder.iterdir())
    tars = [path for path in entries if path.suffix == ".tar"]
    if tars or any(path.is_dir() for path in entries):
        return tars
    return [path for path in entries if is_compressed_tar(path)]


def open_source(paths: list[Path], kind: str | None) -> Source:
    """Open a data set.

    Args:
        paths: its folders or files.
        kind: one of ``KINDS``; None to guess it.

    Raises:
        FileNotFoundError: a path is missing.
        ValueError: the data set is damaged as a whole, or in another format.
    """
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder.")
    kind = kind or kind_of(paths[0])
    if kind == "folder" and not is_packed(paths[0]):
        roots = [str(path.absolute()) for path in paths]
        samples, _ = list_folders(roots)
        return Source(samples, root=os.path.commonpath(roots))
    if kind == "folder":
        return Source(PackedFolder(paths[0]))
    files = [file.absolute() for path in paths for file in (_tars(path) if path.is_dir() else [path])]
    if not files:
        raise ValueError(f"{paths[0]}: no .tar file in this folder; give a folder with some, or another --kind.")
    match kind:
        case "webdataset":
            label = "cls" if "cls" in tar_extensions(files[0]) else None  # labels in other files are not judged
            return Source(WebDataset(files, ["jpg", "jpeg", "png", "webp"], label, "error"))
        case "recordio":
            return Source(RecordIO(files))
    return Source(TFRecord(files, "image/encoded", "image/class/label", 0))


def check(source: Source, max_pixels: int, workers: int) -> Iterator[tuple[int, dict[int, Fault]]]:
    """Decode all samples.

    Yields:
        How many samples were checked since the last time; number of each bad one among them, and what is wrong with it.
    """
    with ThreadPoolExecutor(workers) as pool:
        read = in_order(pool, partial(_read, source), range(len(source)), ahead=2 * CHUNK_IMAGES)
        for chunk in chunks(read, lambda result: len(result[1])):
            bad = {number: found for number, found in chunk if isinstance(found, Fault)}
            good = [(number, found) for number, found in chunk if not isinstance(found, Fault)]
            undecodable = find_undecodable([found for _, found in good], max_pixels, num_threads=workers)
            bad |= {good[i][0]: fault for i, fault in undecodable.items()}
            yield len(chunk), dict(sorted(bad.items()))


def _read(source: Source, number: int) -> tuple[int, np.ndarray | Fault]:
    try:
        return number, source.encoded(number)
    except SampleError as error:
        return number, Fault("damaged", str(error))
    except OSError as error:
        return number, Fault("missing", f"cannot be read: {error.strerror or error}")


@contextmanager
def _own_errors() -> Iterator[TextIO]:
    """Give standard error to the command alone: decoders write lines of their own there for every bad image."""
    sys.stderr.flush()
    with os.fdopen(os.dup(2), "w", buffering=1) as ours, Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)
        try:
            yield ours
        finally:
            os.dup2(ours.fileno(), 2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dali_cutmix.check",
        description="Decode every image of a folder of classes, of shards or of record files, and name those that "
        "cannot be decoded. Exit status: 0 all are good, 1 some are bad, 2 there is nothing to check.",
    )
    parser.add_argument("paths", metavar="DIR", nargs="+", type=Path, help="folder, packed folder, or files of records")
    parser.add_argument("--kind", choices=KINDS, help="format of DIR, if its ending does not say it")
    parser.add_argument("--max-pixels", type=int, default=MAX_PIXELS, help=f"largest image (default {MAX_PIXELS})")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="threads; default: all cores")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write paths and reasons to this file, too")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    given = _parser().parse_args(arguments)
    try:
        if importlib.util.find_spec("tqdm") is None:
            raise ValueError("tqdm is not installed; checking needs pip install 'dali_cutmix[pack]'.")
        check_whole("--max-pixels", given.max_pixels)
        check_whole("--workers", given.workers)
        source = open_source(given.paths, given.kind)
        bad = _check_all(source, given.max_pixels, given.workers)
        if given.json:
            found = [{"path": path, **fault._asdict()} for path, fault in bad]
            write_atomically(given.json, json.dumps({"checked": len(source), "bad": found}, indent=1).encode())
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped before the end", file=sys.stderr)
        return 130
    print(f"{len(source)} images checked, {len(bad)} of them bad")
    return 1 if bad else 0


def _check_all(source: Source, max_pixels: int, workers: int) -> list[tuple[str, Fault]]:
    """Check a data set and print each bad image when it is found; path and fault of all of them."""
    from tqdm import tqdm

    bad = []
    with _own_errors() as stream, tqdm(total=len(source), unit=" images", file=stream) as bar:
        for count, faults in check(source, max_pixels, workers):
            for number, fault in faults.items():
                bad.append((source.name(number), fault))
                bar.write(f"{bad[-1][0]}: {fault.reason}", file=sys.stdout)
            bar.update(count)
            bar.set_postfix_str(f"{len(bad)} bad")
    return bad


if __name__ == "__main__":
    sys.exit(main())

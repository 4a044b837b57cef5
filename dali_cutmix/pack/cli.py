"""Pack a folder of classes into shards of smaller JPEGs, which ``read_folder`` reads just like the folder.

    python -m dali_cutmix.pack /data/imagenet/train /data/imagenet-400/train --short-side 400

A run that was stopped continues where it was if the same command is run again. What it writes depends neither on the
number of workers nor on how often it was stopped.
"""

import argparse
import fcntl
import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dali_cutmix.pack.writer import write_shards
from dali_cutmix.sources import MANIFEST, UNFINISHED, Manifest, scan_folder
from dali_cutmix.utils import ArgumentParser, check_whole, open_lock, printable, run_command, write_atomically


def plan(source: Path, *, short_side: int, quality: int, samples_per_shard: int) -> Manifest:
    """Make the manifest that packing ``source`` will write.

    Raises:
        FileNotFoundError, ValueError: not a folder of classes, or an invalid number.
    """
    check_whole("--short-side", short_side)
    check_whole("--samples-per-shard", samples_per_shard)
    check_whole("--quality", quality, most=100)
    files, labels, classes = scan_folder(source)
    names: dict[str, list[str]] = {name: [] for name in classes}
    for file, label in zip(files, labels, strict=True):
        name = classes[label]
        names[name].append(file.removeprefix(f"{name}/") if file.startswith(f"{name}/") else f"../{file}")
    counts = [min(samples_per_shard, len(files) - start) for start in range(0, len(files), samples_per_shard)]
    return Manifest(
        short_side=short_side,
        quality=quality,
        samples_per_shard=samples_per_shard,
        digest=hashlib.sha256(os.fsencode("\0".join(files))).hexdigest(),
        shards={f"shard-{number:05d}.tar": count for number, count in enumerate(counts)},
        classes=names,
    )


def check_folders(source: Path, out: Path) -> None:
    """Refuse a folder inside the other one, and a file in place of a folder."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"OUT {out} given; it is a file. Give a folder that is new, empty or partly packed.")
    one, other = source.resolve(), out.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise ValueError(f"SRC {source} and OUT {out} given; one is inside the other. Give OUT a folder of its own.")


def start(wanted: Manifest, out: Path) -> None:
    """Write down in ``out`` what will be packed, or refuse a folder that holds something else.

    Raises:
        ValueError: ``out`` has other files, or shards with other settings or of other files.
    """
    manifests = [out / name for name in (MANIFEST, UNFINISHED) if (out / name).is_file()]
    if manifests:
        _check_same(wanted, Manifest.read(manifests[0]), out)
    elif any(not entry.name.startswith(".") for entry in out.iterdir()):
        raise ValueError(f"OUT {out} given; it is neither empty nor a packed folder. Give an empty folder.")
    else:
        write_atomically(out / UNFINISHED, wanted.to_json())


def _check_same(wanted: Manifest, packed: Manifest, out: Path) -> None:
    def described(manifest: Manifest) -> dict[str, Any]:
        files = f"{len(manifest.labels)} in {len(manifest.classes)} classes (SHA-256 {manifest.digest[:12]}…)"
        settings = {k: v for k, v in asdict(manifest).items() if isinstance(v, int)}
        return {f"--{name.replace('_', '-')}": value for name, value in settings.items()} | {"files": files}

    there, here = described(packed), described(wanted)
    different = [f"{name}: {there[name]} there, {here[name]} given" for name in here if there[name] != here[name]]
    if different:
        raise ValueError(
            f"OUT {out} given; it was packed with other settings or files ({'; '.join(different)}). Run the command "
            "with those of OUT, or give an empty folder."
        )


@contextmanager
def _only_one(out: Path) -> Iterator[None]:
    """Lock ``out`` against a second run; the lock ends with the process, however that ends."""
    with os.fdopen(open_lock(out / ".lock"), "wb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise ValueError(f"OUT {out} given; another run is packing into it. Wait until it ends.") from error
        yield


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m dali_cutmix.pack",
        description="Pack a folder of classes into shards of smaller JPEGs (webdataset tar files with DALI's index). "
        "dali_cutmix.read_folder(OUT) reads them as it reads SRC: same samples, labels and order. A run that was "
        "stopped continues when the same command is run again.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("source", metavar="SRC", type=Path, help="folder with one subfolder of images for each class")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for the shards: new, empty, or partly packed")
    parser.add_argument(
        "--short-side", type=int, default=400, help="shorter side of larger images, in pixels; none is enlarged"
    )
    parser.add_argument(
        "--quality",
        type=int,
        default=90,
        help="JPEG quality, 1 to 100; a small JPEG that would not get smaller keeps its bytes",
    )
    parser.add_argument("--samples-per-shard", type=int, default=4096, help="images in each tar file")
    parser.add_argument(
        "--workers", type=int, default=len(os.sched_getaffinity(0)), help="processes that decode and encode"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status. It forks: run it in a process without a running pipeline."""
    stopped = "stopped; run the same command again to continue"
    return run_command(lambda: _run(_parser().parse_args(arguments)), failed=1, interrupted=stopped)


def _run(given: argparse.Namespace) -> int:
    if absent := [name for name in ("PIL", "tqdm") if importlib.util.find_spec(name) is None]:
        raise ValueError(f"{' and '.join(absent)} not installed; packing needs pip install 'dali_cutmix[pack]'.")
    check_whole("--workers", given.workers)
    check_folders(given.source, given.out)
    wanted = plan(
        given.source,
        short_side=given.short_side,
        quality=given.quality,
        samples_per_shard=given.samples_per_shard,
    )
    given.out.mkdir(parents=True, exist_ok=True)
    with _only_one(given.out):
        start(wanted, given.out)
        bad = write_shards(given.source, given.out, wanted, given.workers)
    if bad:
        print(*map(printable, bad), sep="\n", file=sys.stderr)
        raise ValueError(
            f"{len(bad)} of {len(wanted.files)} images cannot be packed. Repair or replace these files and run "
            "the same command again: it writes only the missing shards. To go without them, remove them and pack into "
            "an empty folder."
        )
    print(f"{printable(given.out)}: {len(wanted.files)} images in {len(wanted.shards)} shards, complete")
    return 0

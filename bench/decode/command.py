"""``python -m bench decode``: how fast images are decoded in each way, without this library's loader."""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import Progress

from bench.common.cli import (
    check_minimum,
    check_minutes,
    check_seconds,
    choose_device,
    new_result,
    open_enough_photos,
    usable_cores,
    write_json,
)
from bench.common.photos import PhotoFolder
from bench.decode.decode_process import DecodeProcess
from bench.decode.report import print_table
from bench.decode.rewritten_files import rewrite
from bench.decode.ways import LOADS, DecodeWay, all_ways
from dali_cutmix.sources import scan_folder

MOST_FILES = 2000
"""Files that are decoded repeatedly; of a larger data set, a subset spread evenly over it."""
IMPORTING = 60.0
"""Seconds that a process has to import PyTorch and DALI."""


def decode(
    data: Path | None = None,
    batch_size: int = 256,
    threads: int = 0,
    seconds: float = 2.0,
    device: str = "auto",
    only: tuple[Literal["whole", "region"], ...] = (),
    loads: tuple[float, ...] = LOADS,
    rewritten: bool = False,
    limit: float = 60.0,
    minutes: float = 0.0,
    json: Path | None = None,
) -> int:
    """Measure DALI's JPEG decoder (nvJPEG on a GPU) alone: whole images and regions, upsampling, hardware decoder.

    Each way runs in a process of its own, so a crash is the result of that way alone. Before the clock starts, its
    first batch is compared with the CPU's, and what decoded some batches (hardware decoder, CUDA, CPU) is read from
    nvImageCodec's log.

    Args:
        data: folder with one subfolder of JPEG files for each class; without it, files made from scikit-learn's sample
            photographs: 4:2:0, on a GPU some 4:4:4 and gray.
        batch_size: images in a batch.
        threads: threads of the decoder; 0 means one for each usable core.
        seconds: length of one measurement, in five windows.
        device: cpu, cuda:N, or auto (cuda:0 where there is one).
        only: whole images or regions; both by default.
        loads: shares of a batch for the hardware decoder, 0 to 1; ignored on a CPU.
        rewritten: also measure whole images rewritten with restart markers, and cropped to half of their pixels.
        limit: seconds after which a way is ended as failed.
        minutes: time after which no further way is started; 0 means no limit.
        json: file for the result, written again after each way.

    Returns:
        0, or 1 where a way failed.
    """
    check_minimum(0, threads=threads)
    check_minimum(1, batch_size=batch_size)
    check_seconds(seconds)
    if invalid := [load for load in loads if not 0 <= load <= 1]:
        raise ValueError(f"--loads {invalid[0]:g} given; it is a share of the batch, from 0 to 1.")
    if not 0 < limit < float("inf"):
        raise ValueError(f"--limit {limit:g} given; it is how long a way may take, above 0.")
    check_minutes(minutes)
    device = choose_device(device)
    photos = open_enough_photos(batch_size, data, device)
    chosen = all_ways(device != "cpu", only, loads, rewritten)
    settings = {
        "batch_size": batch_size,
        "threads": threads or usable_cores(),
        "seconds": seconds,
        "images": photos.images,
        "chroma": photos.chroma,
        "mean_file_bytes": round(photos.size / photos.images),
    }
    result = new_result("decode", device, settings) | {"nvjpeg": None, "engines": None, "ways": [], "left_out": []}
    job = {name: settings[name] for name in ("batch_size", "threads", "seconds")} | {"device": device}
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    with tempfile.TemporaryDirectory() as scratch, Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(chosen))
        files = _files(photos, chosen, Path(scratch), threads or usable_cores())
        for way, answer in _measured(chosen, files, job, limit, end):
            progress.update(task, advance=1, description=way.name)
            _add(result, way, answer)
            if json:
                write_json(json, result)
    print_table(result, Console(width=None if sys.stdout.isatty() else 120))
    return 1 if any(entry["failure"] for entry in result["ways"]) else 0


def _files(photos: PhotoFolder, chosen: list[DecodeWay], scratch: Path, threads: int) -> dict[str, list[str]]:
    """Paths for each kind of files that a way decodes."""
    stride = -(-photos.images // MOST_FILES)
    originals = [photos.root / file for file in scan_folder(photos.root)[0][::stride]]
    files = {"as they are": originals}
    for kind in dict.fromkeys(way.files for way in chosen if way.files != "as they are"):
        folder = scratch / kind
        folder.mkdir()
        files[kind] = rewrite(originals, folder, kind, threads)
    return {kind: list(map(str, paths)) for kind, paths in files.items()}


def _measured(
    chosen: list[DecodeWay], files: dict[str, list[str]], job: dict[str, Any], limit: float, end: float
) -> Iterator[tuple[DecodeWay, dict[str, Any] | None]]:
    """Yield each way with its answer, or None for a way that was not started before ``end``.

    Imports take longer than measurements. So as many processes as there are cores import at the same time; then one
    measures after the other, while the rest wait for a line on their standard input.
    """
    waiting = iter(chosen)
    while wave := list(islice(waiting, usable_cores())):
        with ExitStack() as stack:
            late = time.monotonic() > end
            processes = [] if late else [DecodeProcess() for _ in wave]
            for process in processes:
                stack.callback(process.close)
            for process in processes:
                process.wait_ready(IMPORTING)
            for number, way in enumerate(wave):
                if time.monotonic() > end:
                    yield way, None
                else:
                    given = job | {"way": asdict(way), "files": files[way.files]}
                    yield way, processes[number].measure(given, min(limit, max(1.0, end - time.monotonic())))


def _add(result: dict[str, Any], way: DecodeWay, answer: dict[str, Any] | None) -> None:
    if answer is None:
        result["left_out"].append(way.name)
        return
    # These belong to the process, not to the way.
    result["nvjpeg"] = answer.pop("nvjpeg", None) or result["nvjpeg"]
    result["engines"] = answer.pop("engines", None) or result["engines"]
    result["ways"].append({"name": way.name, **asdict(way), "failure": None, **answer})

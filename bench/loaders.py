"""``python -m bench loaders``: images per second of this library and of the loaders that one would use otherwise."""

import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from bench import report
from bench.contenders import CONTENDERS, Contender, Settings
from bench.machine import machine, versions
from bench.photos import Photos, long_epoch, open_photos
from bench.rounds import measure_in_rounds
from train.files import cache_folder

MOST_COPIED = 20 * 2**30


def loaders(
    data: Path | None = None,
    size: int = 224,
    batch_size: int = 128,
    threads: int = 0,
    seconds: float = 6.0,
    rounds: int = 3,
    device: str = "auto",
    only: tuple[str, ...] = (),
    json: Path | None = None,
    png: Path | None = None,
) -> int:
    """Measure loaders: random resized crop (bilinear, antialiased), flip, normalization to float32, CutMix where named.

    All loaders are started and warmed up, then measured in turn, round by round. Before each turn the others have gone
    quiet, and what a loader had prepared while it stood idle is used up before the clock starts. Rates are over whole
    batches, without the turn of an epoch.

    Args:
        data: folder with one subfolder of JPEG files for each class; without it, files made from scikit-learn's sample
            photographs.
        size: side of the crop in pixels.
        batch_size: images in a batch.
        threads: worker threads or processes of each loader; 0 means one for each core that this process may use.
        seconds: length of one measurement.
        rounds: measurements of each loader.
        device: cpu, cuda:N, or auto (cuda:0 where there is one).
        only: which to measure of ours-cutmix, ours, dali, dali-decode, torchvision-pil, torchvision-io, timm, ffcv and
            spdl; all that are installed by default.
        json: write the result there.
        png: draw a bar chart there.

    Returns:
        0, or 1 where a loader failed.
    """
    _check(size, batch_size, threads, seconds, rounds)
    device = _device(device)
    chosen = _chosen(only)
    photos = open_photos(data)
    if batch_size > photos.images:
        raise ValueError(
            f"--batch-size {batch_size} given, but {photos.root} holds {photos.images} images; give at most that."
        )
    root, images = long_epoch(photos)
    settings = Settings(
        data=root,
        images=images,
        num_classes=len(photos.classes),
        size=size,
        batch_size=batch_size,
        threads=threads or len(os.sched_getaffinity(0)),
        device=device,
        cache=cache_folder(),
    )
    fit, skipped = _fit(chosen, settings, photos, asked=bool(only))
    rows, failed = measure_in_rounds(fit, settings, seconds, rounds)
    result = {
        "benchmark": "loaders",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(device),
        "versions": versions(),
        "settings": _settings(settings, photos, seconds, rounds),
        "contenders": rows,
        "skipped": skipped + failed,
    }
    report.add_ratios(rows)
    if rows:
        report.print_table(result, Console(width=None if sys.stdout.isatty() else 120))
    if json:
        report.write_json(json, result)
    if png and rows:
        report.draw_chart(png, result)
    return 1 if failed else 0


def _check(size: int, batch_size: int, threads: int, seconds: float, rounds: int) -> None:
    for name, value, least in (
        ("size", size, 1),
        ("batch-size", batch_size, 2),
        ("threads", threads, 0),
        ("rounds", rounds, 1),
    ):
        if value < least:
            raise ValueError(f"--{name} {value} given; it is a whole number of at least {least}.")
    if not seconds > 0:
        raise ValueError(f"--seconds {seconds:g} given; it is the length of one measurement, above 0.")


def _device(device: str) -> str:
    count = torch.cuda.device_count()
    if device == "auto":
        return "cuda:0" if count else "cpu"
    allowed = ["cpu", *(f"cuda:{index}" for index in range(count))]
    if device not in allowed:
        raise ValueError(f"--device {device} given; on this machine there is {', '.join(allowed)} (or auto).")
    return device


def _chosen(only: tuple[str, ...]) -> list[Contender]:
    names = [contender.name for contender in CONTENDERS]
    if unknown := [name for name in only if name not in names]:
        raise ValueError(f"--only {' '.join(unknown)} given; the loaders are {', '.join(names)}.")
    return [contender for contender in CONTENDERS if not only or contender.name in only]


def _fit(
    chosen: list[Contender], settings: Settings, photos: Photos, asked: bool
) -> tuple[list[Contender], list[dict[str, str]]]:
    fit, skipped = [], []
    for contender in chosen:
        reason = contender.unfit(settings)
        if missing := contender.missing():
            reason = f"not installed: {', '.join(missing)}"
        elif contender.copies_data and photos.size > MOST_COPIED and not asked:
            reason = f"would copy {photos.size / 2**30:.0f} GiB into {settings.cache}; name it with --only to do so"
        if reason and asked:
            raise ValueError(f"--only {contender.name}: {reason}; leave it out or mend that.")
        if reason:
            skipped.append({"name": contender.name, "label": contender.label, "reason": reason})
        else:
            fit.append(contender)
    return fit, skipped


def _settings(settings: Settings, photos: Photos, seconds: float, rounds: int) -> dict[str, Any]:
    same = asdict(settings)
    # Where it lies on one machine says nothing on another.
    del same["data"], same["cache"], same["images"]
    return {
        **same,
        "images": photos.images,
        "epoch_images": settings.images,
        "mean_file_bytes": round(photos.size / photos.images),
        "seconds": seconds,
        "rounds": rounds,
    }

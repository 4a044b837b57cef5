"""``python -m bench loaders``: images per second of this library and of other loaders."""

import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.common.cli import (
    check_minimum,
    check_minutes,
    check_seconds,
    check_silence,
    choose_device,
    new_result,
    open_enough_photos,
    write_json,
)
from bench.common.photos import PhotoFolder, pack_photos
from bench.loaders import report
from bench.loaders.comparison import TimeBudget, add_ratios, each_round, settings_for, shared_settings, stage_costs
from bench.loaders.contenders import CONTENDERS, Contender, Settings
from bench.loaders.process import SILENCE

MOST_COPIED = 20 * 2**30
"""Bytes of a data set above which a loader that copies it is not measured unless named."""
NO_TIME = "not started for lack of time"


def loaders(
    data: Path | None = None,
    size: int = 224,
    batch_size: int = 128,
    threads: int = 0,
    seconds: float = 6.0,
    rounds: int = 3,
    device: str = "auto",
    short_side: int = 0,
    only: tuple[str, ...] = (),
    silence: float = SILENCE,
    minutes: float = 0.0,
    json: Path | None = None,
    png: Path | None = None,
) -> int:
    """Measure loaders: random resized crop (bilinear, antialiased), flip, normalization to float32, CutMix where named.

    All loaders are started and warmed up, then measured in turn, round by round. Before each turn the others have
    become idle, and batches that a loader prepared while idle are used up before the clock starts. Rates are over whole
    batches, without the end of an epoch. With the default settings each loader takes about half a minute.

    A loader that raises, crashes, or yields no batch for a minute is ended and left out; the table and the JSON say
    why. Batches of more than 600 images have more time, in proportion. FFCV copies the images first and has an hour for
    that.

    Args:
        data: folder with one subfolder of JPEG files for each class; without it, files made from scikit-learn's sample
            photographs: 4:2:0, on a GPU some 4:4:4 and gray.
        size: side of the crop in pixels.
        batch_size: images in a batch.
        threads: worker threads or processes of each loader; 0 means one for each usable core.
        seconds: length of one measurement.
        rounds: measurements of each loader.
        device: cpu, cuda:N, or auto (cuda:0 where there is one).
        short_side: also pack the images to this size (JPEG quality 90, on first use, into the cache folder) and measure
            ours-packed and ffcv-packed on them; 0 leaves these two out.
        only: loaders to measure, of ours-cutmix, ours-unfused, ours-mixup, ours, ours-float16, dali, dali-decode,
            dali-decode-whole, dali-read, torchvision-pil, torchvision-io, torchvision-gpu, timm, ffcv, ours-packed,
            ffcv-packed and spdl, in the order in which to start them; by default all that are installed and suit the
            device.
        silence: seconds without a batch after which a loader has failed.
        minutes: time limit of the whole command; 0 means no limit. A loader or a round that is expected to take longer,
            judging by those before it, is not started.
        json: file for the result, written again after each round; ``complete`` is false until the end.
        png: file for a bar chart.

    Returns:
        0, or 1 where a loader failed.
    """
    check_minimum(0, threads=threads, short_side=short_side)
    check_minimum(1, size=size, rounds=rounds)
    check_minimum(2, batch_size=batch_size)
    check_seconds(seconds)
    check_silence(silence)
    check_minutes(minutes)
    device = choose_device(device)
    chosen = _chosen(only)
    photos = open_enough_photos(batch_size, data, device)
    settings = settings_for(photos, size=size, batch_size=batch_size, threads=threads, device=device)
    if short_side and any(contender.packed for contender in chosen):
        settings = replace(settings, packed=pack_photos(photos, short_side, settings.threads))
    suitable, skipped = _suitable(chosen, settings, photos, named=bool(only))
    result = new_result("loaders", device, shared_settings(settings, photos, seconds, rounds))
    result["settings"] |= {"short_side": short_side, "silence": silence, "minutes": minutes}
    budget = TimeBudget(minutes, seconds, rounds) if minutes else None
    rows: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    with closing(each_round(suitable, settings, seconds, rounds, budget, silence)) as measured:
        for rows, failed in measured:
            late = _not_started(suitable, rows, failed) if rows else []
            add_ratios(rows)
            result |= {"complete": False, "contenders": rows, "stages": stage_costs(rows, device)}
            result["skipped"] = skipped + failed + late
            if json:
                write_json(json, result)
            if rows and budget and not budget.allows_round(len(rows)):
                break
    result["complete"] = True
    if rows or failed:
        report.print_table(result, Console(width=None if sys.stdout.isatty() else 120))
    if json:
        write_json(json, result)
    if png and rows:
        report.draw_chart(png, result)
    return 1 if failed else 0


def _chosen(only: tuple[str, ...]) -> list[Contender]:
    by_name = {contender.name: contender for contender in CONTENDERS}
    if unknown := [name for name in only if name not in by_name]:
        raise ValueError(f"--only {' '.join(unknown)} given; the loaders are {', '.join(by_name)}.")
    return [by_name[name] for name in dict.fromkeys(only or by_name)]


def _not_started(
    suitable: list[Contender], rows: list[dict[str, Any]], failed: list[dict[str, str]]
) -> list[dict[str, str]]:
    """List the loaders that were not started."""
    known = {entry["name"] for entry in [*rows, *failed]}
    left = [contender for contender in suitable if contender.name not in known]
    return [{"name": contender.name, "label": contender.label, "reason": NO_TIME} for contender in left]


def _suitable(
    chosen: list[Contender], settings: Settings, photos: PhotoFolder, named: bool
) -> tuple[list[Contender], list[dict[str, str]]]:
    """Split the loaders into those to start and those to skip, with the reasons; a loader named in --only must run."""
    suitable, skipped = [], []
    for contender in chosen:
        reason = contender.unfit_reason(settings)
        if missing := contender.missing():
            reason = f"not installed: {', '.join(missing)}"
        elif contender.copies_data and photos.size > MOST_COPIED and not named:
            reason = f"would copy {photos.size / 2**30:.0f} GiB into {settings.cache}; name it with --only to do so"
        if reason and named:
            raise ValueError(f"--only {contender.name}: {reason}; leave it out or fix that.")
        if reason:
            skipped.append({"name": contender.name, "label": contender.label, "reason": reason})
        else:
            suitable.append(contender)
    return suitable, skipped

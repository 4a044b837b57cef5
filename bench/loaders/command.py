"""``python -m bench loaders``: images per second of this library and of the loaders that one would use otherwise."""

import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.common import (
    Budget,
    Contender,
    Photos,
    Settings,
    check_least,
    check_minutes,
    check_seconds,
    check_silence,
    choose_device,
    new_result,
    open_for,
    pack_photos,
    settings_for,
    shared_settings,
    write_json,
)
from bench.loaders import report
from bench.loaders.contenders import CONTENDERS
from bench.loaders.rounds import each_round
from bench.loaders.runner import SILENCE
from bench.loaders.stages import stages

MOST_COPIED = 20 * 2**30
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

    All loaders are started and warmed up, then measured in turn, round by round. Before each turn the others have gone
    quiet, and what a loader had prepared while it stood idle is used up before the clock starts. Rates are over whole
    batches, without the turn of an epoch. With the default settings each loader takes about half a minute.

    A loader that raises, crashes, or gives no batch for a minute is ended and left out; the table and the JSON say why.
    Batches of more than 600 images have more time, in proportion. FFCV, which copies the images first, has an hour for
    that.

    Args:
        data: folder with one subfolder of JPEG files for each class; without it, files made from scikit-learn's sample
            photographs: 4:2:0, on a GPU some 4:4:4 and gray.
        size: side of the crop in pixels.
        batch_size: images in a batch.
        threads: worker threads or processes of each loader; 0 means one for each core that this process may use.
        seconds: length of one measurement.
        rounds: measurements of each loader.
        device: cpu, cuda:N, or auto (cuda:0 where there is one).
        short_side: pack the images to this size as well (JPEG quality 90, once, into the cache folder) and measure
            ours-packed and ffcv-packed on them; 0 leaves these two out.
        only: which to measure of ours-cutmix, ours-unfused, ours-mixup, ours, ours-float16, dali, dali-decode,
            dali-decode-whole, dali-read, torchvision-pil, torchvision-io, torchvision-gpu, timm, ffcv, ours-packed,
            ffcv-packed and spdl, in the order in which to start them; all that are installed and fit the device by
            default.
        silence: seconds without a batch after which a loader has failed.
        minutes: time for all of it, 0 for no limit. Loaders that would take longer are not started, by what those
            before them took, and no round is begun that would not end in time.
        json: write the result there, anew after each round; ``complete`` is false until the end.
        png: draw a bar chart there.

    Returns:
        0, or 1 where a loader failed.
    """
    check_least(0, threads=threads, short_side=short_side)
    check_least(1, size=size, rounds=rounds)
    check_least(2, batch_size=batch_size)
    check_seconds(seconds)
    check_silence(silence)
    check_minutes(minutes)
    device = choose_device(device)
    chosen = _chosen(only)
    photos = open_for(batch_size, data, device)
    settings = settings_for(photos, size=size, batch_size=batch_size, threads=threads, device=device)
    if short_side and any(contender.packed for contender in chosen):
        settings = replace(settings, packed=pack_photos(photos, short_side, settings.threads))
    fit, skipped = _fit(chosen, settings, photos, asked=bool(only))
    result = new_result("loaders", device, shared_settings(settings, photos, seconds, rounds))
    result["settings"] |= {"short_side": short_side, "silence": silence, "minutes": minutes}
    budget = Budget(minutes, seconds, rounds) if minutes else None
    rows: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    with closing(each_round(fit, settings, seconds, rounds, budget, silence)) as measured:
        for rows, failed in measured:
            late = _late(fit, rows, failed) if rows else []
            report.add_ratios(rows)
            result |= {"complete": False, "contenders": rows, "stages": stages(rows, device)}
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
    names = [contender.name for contender in CONTENDERS]
    if unknown := [name for name in only if name not in names]:
        raise ValueError(f"--only {' '.join(unknown)} given; the loaders are {', '.join(names)}.")
    named = dict(zip(names, CONTENDERS, strict=True))
    return [named[name] for name in dict.fromkeys(only or names)]


def _late(fit: list[Contender], rows: list[dict[str, Any]], failed: list[dict[str, str]]) -> list[dict[str, str]]:
    """Those that were not started."""
    known = {entry["name"] for entry in [*rows, *failed]}
    left = [contender for contender in fit if contender.name not in known]
    return [{"name": contender.name, "label": contender.label, "reason": NO_TIME} for contender in left]


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

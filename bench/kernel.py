"""``python -m bench kernel``: the fused pass alone, compared with memory bandwidth; and its cost on the host."""

import sys
from collections import deque
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from nvidia.dali import fn, pipeline_def, types
from rich.console import Console
from rich.table import Table

import dali_cutmix as dc
from bench.common.cli import check_minimum, choose_device, new_result, open_enough_photos, usable_cores, write_json
from bench.common.timing import time_calls
from dali_cutmix.fused import cuda, fused_mix, resample, sample_table
from dali_cutmix.mixing import BOX, ONE, PARTNER, WEIGHT, draw, make_plan

POLICIES: dict[str, dc.Policy | None] = {"no mixing": None, "CutMix": dc.CutMix(), "Mixup": dc.Mixup()}
FORMATS = [(dtype, last) for dtype in (torch.float32, torch.float16, torch.bfloat16) for last in (False, True)]
COPIED = 2**30
"""Bytes of the copy that measures memory bandwidth."""


class DecodedBatch(NamedTuple):
    """Decoded images on the device, the rows of their mixing plan, and the window of each (None: the whole image)."""

    crops: Any
    plan: np.ndarray
    windows: np.ndarray | None = None


def kernel(
    data: Path | None = None,
    size: int = 224,
    batch_size: int = 256,
    threads: int = 0,
    repeats: int = 30,
    device: str = "auto",
    json: Path | None = None,
) -> int:
    """Time the fused pass (resample, flip, mix, normalize, cast) on decoded images, apart from the loader.

    The lower bound of its time is the number of bytes to read and write, divided by the bandwidth of a copy on the same
    device. On a GPU the kernel alone is timed: the table of samples is uploaded before, and all launches of a
    measurement are queued before the first begins; the result says where the host was too slow for that. The host's
    part of the work for a GPU, everything but CUDA's calls, is timed also where there is no GPU.

    Args:
        data: folder with one subfolder of JPEG files for each class; without it, files made from scikit-learn's sample
            photographs: 4:2:0, on a GPU some 4:4:4 and gray.
        size: side of the images in pixels.
        batch_size: images in a batch.
        threads: threads of the pass on a CPU; 0 means one for each usable core.
        repeats: measurements of each case; the result is their median.
        device: cpu, cuda:N, or auto (cuda:0 where there is one).
        json: file for the result, written again after each pass; ``complete`` is false until the end.

    Returns:
        0.
    """
    check_minimum(0, threads=threads)
    check_minimum(1, size=size, repeats=repeats)
    check_minimum(2, batch_size=batch_size)
    device = choose_device(device)
    photos = open_enough_photos(batch_size, data, device)
    threads = threads or usable_cores()
    bandwidth = _copy_bandwidth(device, repeats)
    counts = {"size": size, "batch_size": batch_size, "threads": threads, "repeats": repeats, "images": photos.images}
    result = new_result("kernel", device, counts | {"chroma": photos.chroma})
    rows: list[dict[str, Any]] = []
    result |= {"complete": False, "copy_bytes_per_second": bandwidth, "passes": rows}
    for name, policy in POLICIES.items():
        batches = _decode(photos.root, policy, size, batch_size, threads, device)
        for dtype, channels_last in FORMATS:
            finish = dc.Resample(size, dtype=dtype, channels_last=channels_last, num_threads=threads)
            each, host_bound = time_calls(_work(finish, batches, device), device, repeats)
            moved = [_least_bytes(batch, size, dtype) for batch in batches]
            read, written = (sum(part) // len(part) for part in zip(*moved, strict=True))
            rows.append(
                {
                    "mixing": name,
                    "dtype": str(dtype).removeprefix("torch."),
                    "channels_last": channels_last,
                    "ms": median(each),
                    "min": min(each),
                    "max": max(each),
                    "bytes_read": read,
                    "bytes_written": written,
                    "of_copy": (read + written) / bandwidth / (median(each) / 1000),
                    "host_bound": host_bound,
                }
            )
            if json:
                write_json(json, result)
    result |= {"host_ms": _host_ms(photos.root, size, batch_size, threads, repeats), "complete": True}
    _print(result, Console(width=None if sys.stdout.isatty() else 120))
    if json:
        write_json(json, result)
    return 0


def _decode(
    root: Path, policy: dc.Policy | None, size: int, batch_size: int, threads: int, device: str
) -> list[DecodedBatch]:
    """Decode one batch; two for a GPU, so that a launch does not find its own batch in the cache."""

    @pipeline_def(**dc.pipeline_options(batch_size, device=device, num_threads=threads))
    def graph() -> Any:
        jpegs, _ = dc.read_folder(root)
        corner, extent = fn.random_crop_generator(fn.peek_image_shape(jpegs), random_area=[0.08, 1.0])
        if device == "cpu":
            crops = fn.decoders.image_slice(jpegs, corner, extent, axis_names="HW", output_type=types.RGB)
            return crops, corner, extent, *draw(policy)
        # Whole images, as in the loader; decoded on the CPU, as the decoder is not measured here.
        return fn.decoders.image(jpegs, output_type=types.RGB).gpu(), corner, extent, *draw(policy)

    pipeline, batches = graph(), []
    for _ in range(1 if device == "cpu" else 2):
        crops, *others = pipeline.run()
        corner, extent, *draws = (np.array(output.as_tensor()) for output in others)
        plan = make_plan(policy, 0.5, size, size, *draws).rows
        batches.append(DecodedBatch(crops, plan, None if device == "cpu" else np.concatenate([corner, extent], 1)))
    return batches


def _least_bytes(batch: DecodedBatch, size: int, dtype: torch.dtype) -> tuple[int, int]:
    """Count the bytes to read (the visible part of each window) and to write (the batch)."""
    samples = sample_table(batch.crops, batch.plan, batch.windows)
    crop = samples["height"].astype(np.int64) * samples["width"] * 3
    x1, y1, x2, y2 = batch.plan[:, BOX].T.astype(np.int64)
    box = (x2 - x1) * (y2 - y1) / size**2
    hidden = np.where(batch.plan[:, WEIGHT] == 0, box, 0)
    pasted = np.where(batch.plan[:, WEIGHT] < ONE, box, 0)
    read = (crop * (1 - hidden) + crop[batch.plan[:, PARTNER]] * pasted).sum()
    return int(read), len(samples) * 3 * size**2 * dtype.itemsize


def _work(finish: dc.Resample, batches: list[DecodedBatch], device: str) -> Callable[[], Any]:
    """Make a function that runs the pass once; on a GPU one launch only, on other memory than the last one."""
    if device == "cpu":
        return lambda: finish(batches[0].crops, batches[0].plan)
    gpu = torch.device(device).index
    tables = [sample_table(batch.crops, batch.plan, batch.windows).view(np.uint8) for batch in batches]
    turns = cycle([cuda.upload(rows, gpu) for rows in tables])
    held: deque[Any] = deque(maxlen=1)  # so that the next images use other memory
    return lambda: held.append(finish._on_gpu.launch(next(turns), len(batches[0].plan), gpu))


def _copy_bandwidth(device: str, repeats: int) -> float:
    """Measure the bytes per second that a copy on the device reads and writes."""
    source = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    each, _ = time_calls(lambda: target.copy_(source), device, min(repeats, 10))
    return 2 * COPIED / (median(each) / 1000)


def _host_ms(root: Path, size: int, batch_size: int, threads: int, repeats: int) -> float:
    """Measure the host's ms for a batch on a GPU: plan, targets (1,000 classes) and table, without CUDA's calls."""
    finish = dc.FusedMix(dc.CutMix(), resample=dc.Resample(size), num_classes=1000)

    @pipeline_def(**dc.pipeline_options(batch_size, device="cpu", num_threads=threads))
    def graph() -> Any:
        jpegs, labels = dc.read_folder(root)
        return finish.inputs(dc.random_crop(jpegs), labels)

    outputs = graph().run()
    memory = torch.empty(batch_size * 3 * size**2 * 4, dtype=torch.uint8)

    class FinishedEvent:
        def query(self) -> bool:
            return True

    with (
        patch.object(cuda, "_launch", lambda *_: None),
        patch.object(cuda, "record", lambda _: FinishedEvent()),
        patch.object(cuda, "_empty", lambda *_: memory),
        patch.object(cuda, "upload", lambda array, _: torch.from_numpy(array)),
        patch.object(fused_mix, "upload", lambda array, _: torch.from_numpy(array)),
        patch.object(fused_mix, "gpu_of", lambda _: 0),
        patch.object(resample, "gpu_of", lambda _: 0),
    ):
        return median(time_calls(lambda: finish(*outputs), "cpu", 3 * repeats).each)


def _print(result: dict[str, Any], console: Console) -> None:
    machine, settings = result["machine"], result["settings"]
    console.print(
        f"{machine['gpu'] or machine['cpu']}; crop {settings['size']}, batch {settings['batch_size']}, median of "
        f"{settings['repeats']}; a copy moves {result['copy_bytes_per_second'] / 1e9:,.1f} GB/s (read and written)"
    )
    grid = Table()
    for name in ("mixing", "dtype", "layout", "ms/batch", "min to max", "GB moved, at least", "of a copy's bandwidth"):
        grid.add_column(name, justify="left" if name in ("mixing", "dtype", "layout") else "right", no_wrap=True)
    for row in result["passes"]:
        grid.add_row(
            row["mixing"],
            row["dtype"],
            "NHWC" if row["channels_last"] else "NCHW",
            f"{row['ms']:.3f}",
            f"{row['min']:.3f} to {row['max']:.3f}",
            f"{(row['bytes_read'] + row['bytes_written']) / 1e9:.3f}",
            f"{row['of_copy']:.0%}",
        )
    console.print(grid)
    if bound := sum(bool(row["host_bound"]) for row in result["passes"]):
        console.print(
            f"[yellow]{bound} of {len(result['passes'])} are bound by the host, which was too slow to queue all "
            "launches before the first began: the kernel is faster than that.[/yellow]"
        )
    console.print(f"On a GPU the host spends {result['host_ms']:.2f} ms on such a batch, CUDA's own calls apart.")

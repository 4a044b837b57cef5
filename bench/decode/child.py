"""The process that measures one way to decode, from inside.

It prints ``ready`` after its imports, reads a job from standard input and answers in JSON on standard output.
"""

import gc
import json
import os
import sys
from dataclasses import asdict
from statistics import median
from typing import Any

import numpy as np
import torch
from nvidia.dali import Pipeline, fn, pipeline_def, types

from bench.decode.decoder_log import capture_log, count_images, engines
from bench.decode.throughput import AHEAD, time_decoding
from bench.decode.ways import DecodeWay
from dali_cutmix._dali import library

LOGGED = 3
"""Batches whose decoders are read from the log, besides those prepared ahead."""
COMPARED = 32
"""Images of the first batch that are compared with those decoded on the CPU."""


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Check the images that a way decodes and what decodes them, then measure its throughput.

    Raises:
        RuntimeError: DALI raised it, or images differ in shape from those decoded on the CPU.
    """
    way = DecodeWay(**job["way"])
    device = job["device"]
    if device != "cpu":
        torch.cuda.set_device(device)
    with capture_log() as log:
        pipeline = _graph(job, way, device)
        first = _images(pipeline.run()[0])
        for _ in range(LOGGED - 1):
            pipeline.run()
        del pipeline
        gc.collect()
    levels = _levels(first, job, way)
    rates, core_ms = time_decoding(_graph(job, way, device, shuffle=True), device, job["batch_size"], job["seconds"])
    return {
        "images_per_second": median(rates),
        "min": min(rates),
        "max": max(rates),
        "windows": rates,
        "core_ms_per_image": core_ms,
        "decoded_by": asdict(count_images(log[0])),
        "levels_from_cpu": levels,
        "engines": engines(log[0]),
        "nvjpeg": _nvjpeg(),
    }


@pipeline_def(prefetch_queue_depth=AHEAD, seed=1)
def _decoded(files: list[str], way: DecodeWay, device: str, shuffle: bool, shapes: bool) -> Any:
    jpegs, _ = fn.readers.file(
        files=files, random_shuffle=shuffle, initial_fill=len(files) if shuffle else 1, dont_use_mmap=True, seed=2
    )
    options: dict[str, Any] = {"output_type": types.RGB, "jpeg_fancy_upsampling": way.fancy, "device": device}
    if device == "mixed":
        options["hw_decoder_load"] = way.load
    if way.region:
        images = fn.decoders.image_random_crop(jpegs, random_area=[0.08, 1.0], seed=3, **options)
    else:
        images = fn.decoders.image(jpegs, **options)
    return (images, fn.peek_image_shape(jpegs)) if shapes else images


def _graph(job: dict[str, Any], way: DecodeWay, device: str, shuffle: bool = False, shapes: bool = False) -> Pipeline:
    pipeline = _decoded(
        job["files"],
        way,
        "cpu" if device == "cpu" else "mixed",
        shuffle,
        shapes,
        batch_size=job["batch_size"],
        num_threads=job["threads"],
        device_id=None if device == "cpu" else torch.device(device).index,
    )
    pipeline.build()
    return pipeline


def _images(batch: Any) -> list[np.ndarray]:
    batch = batch.as_cpu()
    return [np.array(batch.at(number)) for number in range(min(len(batch), COMPARED))]


def _levels(images: list[np.ndarray], job: dict[str, Any], way: DecodeWay) -> float | None:
    """Mean absolute difference from the CPU's image, of the worst image; None if no regions are the same."""
    pipeline = _graph(job, way, "cpu", shapes=True)
    decoded, shapes = pipeline.run()
    differences = []
    for number, (image, expected) in enumerate(zip(images, _images(decoded), strict=True)):
        height, width = np.array(shapes.at(number))[:2]
        fits = image.shape == expected.shape if not way.region else _is_within(image.shape, height, width)
        if not fits:
            raise RuntimeError(
                f"image {number} of {height}×{width} was decoded to {image.shape}; the CPU decodes {expected.shape}"
            )
        if image.shape == expected.shape:
            differences.append(float(np.abs(image.astype(np.int16) - expected).mean()))
    return max(differences, default=None)


def _is_within(shape: tuple[int, ...], height: int, width: int) -> bool:
    return len(shape) == 3 and shape[2] == 3 and 0 < shape[0] <= height and 0 < shape[1] <= width


def main() -> None:
    """Answer on standard output; everything else that is printed goes to standard error."""
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        print("ready", file=answers, flush=True)
        if not (line := sys.stdin.readline()):  # the benchmark has ended
            return
        try:
            answer = measure(json.loads(line))
        except Exception as error:  # DALI and CUDA raise errors of many types
            answer = {"failure": reason(str(error)) or type(error).__name__}
        print(json.dumps(answer), file=answers, flush=True)
    os._exit(0)  # DALI's threads may still run: a normal exit might print errors or hang


def _nvjpeg() -> dict[str, str] | None:
    """Name the nvJPEG library, without the folder of this machine's Python."""
    found = library()
    if found is None:
        return None
    return {"file": found.path.rpartition("/site-packages/")[2], "version": ".".join(map(str, found.version))}


def reason(message: str) -> str:
    """Find the line of DALI's long messages that says what happened."""
    details = message.rpartition("encountered:")[2]
    return next((line.strip() for line in details.splitlines() if line.strip()), "")


if __name__ == "__main__":
    main()

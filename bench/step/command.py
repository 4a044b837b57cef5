"""``python -m bench step``: training steps with this library's loader, compared with steps on synthetic data."""

import sys
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console

import dali_cutmix as dc
from bench.common.cli import (
    check_minimum,
    check_seconds,
    choose_device,
    new_result,
    open_enough_photos,
    usable_cores,
    write_json,
)
from bench.common.photos import long_epoch
from bench.step.report import print_table, summary
from bench.step.rounds import measure
from bench.step.training import TrainingSetup
from pipelines import imagenet

GPU = torch.cuda.is_available()


def step(
    data: Path | None = None,
    model: str = "",
    num_classes: int = 1000,
    batch_size: int = 0,
    size: int = 224,
    threads: int = 0,
    steps: int = 0,
    seconds: float = 5.0,
    rounds: int = 3,
    device: str = "auto",
    amp: bool = GPU,
    channels_last: bool = True,
    compile: bool = GPU,
    json: Path | None = None,
) -> int:
    """Train a model on synthetic data held on the device and on this library's batches (CutMix), in turn.

    The ratio of the two rates is the share of the model's own speed that is left with the loader. The step is the usual
    one: forward, cross entropy with dense soft targets, backward, SGD with momentum. Compilation, the choice of kernels
    and the filling of queues come before the clock starts.

    Args:
        data: folder with one subfolder of JPEG files for each class; without it, files made from scikit-learn's sample
            photographs: 4:2:0, on a GPU some 4:4:4 and gray.
        model: resnet10 (small) or any classifier of torchvision; by default resnet50 on a GPU, resnet18 on a CPU.
        num_classes: number of classes of the targets, at least the number of class folders.
        batch_size: images in a step; by default 256 on a GPU, 32 on a CPU.
        size: side of the images in pixels.
        threads: threads of the loader; 0 means one for each usable core.
        steps: steps in one measurement, at least 2; 0 means as many as take --seconds.
        seconds: length of one measurement, if --steps is 0.
        rounds: measurements of each source.
        device: cpu, cuda:N, or auto (cuda:0 where there is one).
        amp: compute in bfloat16 where that is safe (autocast); the images are then bfloat16, otherwise float32.
        channels_last: images and weights in channels_last memory format.
        compile: compile the model with torch.compile.
        json: file for the result, written again after each round; ``complete`` is false until the end.

    Returns:
        0.
    """
    check_minimum(0, threads=threads, batch_size=batch_size)
    check_minimum(1, size=size, rounds=rounds, num_classes=num_classes)
    if steps < 2 and steps != 0:
        raise ValueError(f"--steps {steps} given; it is at least 2, or 0 for as many as take --seconds.")
    check_seconds(seconds)
    device = choose_device(device)
    on_gpu = device != "cpu"
    training = TrainingSetup(
        model=model or ("resnet50" if on_gpu else "resnet18"),
        num_classes=num_classes,
        size=size,
        batch_size=batch_size or (256 if on_gpu else 32),
        device=device,
        amp=amp,
        channels_last=channels_last,
        compile=compile,
    )
    photos = open_enough_photos(training.batch_size, data, device)
    if on_gpu:
        torch.cuda.set_device(device)  # stream and events of a step belong to the current device
    loader = _loader(training, long_epoch(photos)[0], threads or usable_cores())
    settings = {
        **asdict(training),
        "dtype": str(training.dtype).removeprefix("torch."),
        "threads": threads or usable_cores(),
        "images": photos.images,
        "chroma": photos.chroma,
        "mean_file_bytes": round(photos.size / photos.images),
        "rounds": rounds,
    }
    result = new_result("step", device, settings)
    for number, measured in enumerate(measure(training, loader, steps, seconds, rounds)):
        result |= summary(measured) | {"complete": number + 1 == rounds}
        if json:
            write_json(json, result)
    print_table(result, Console(width=None if sys.stdout.isatty() else 120))
    return 0


def _loader(training: TrainingSetup, root: Path, threads: int) -> dc.Loader:
    return imagenet.train(
        root,
        batch_size=training.batch_size,
        size=training.size,
        num_classes=training.num_classes,
        mix=dc.CutMix(alpha=1.0),
        device=training.device,
        num_threads=threads,
        dtype=training.dtype,
        channels_last=training.channels_last,
    )

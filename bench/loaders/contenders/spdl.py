"""SPDL's pipeline and decoder, following its documentation: threads decode frames, a batch is one buffer."""

import math
import random
from collections.abc import Iterator

import spdl.io
import torch
from spdl.pipeline import PipelineBuilder

from bench.loaders.contenders import Batch, Settings
from dali_cutmix.sources import scan_folder

MEAN = torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1)
STD = torch.tensor([58.395, 57.12, 57.375]).view(1, 3, 1, 1)

Sample = tuple[str, int]
Frame = tuple[spdl.io.ImageFrames, int]


def _endless(settings: Settings) -> Iterator[Sample]:
    files, labels, _ = scan_folder(settings.data)
    samples = [(str(settings.data / file), label) for file, label in zip(files, labels, strict=True)]
    while True:
        random.shuffle(samples)
        yield from samples


def _region(width: int, height: int) -> tuple[int, int, int, int]:
    """Draw width, height, x, y of a random resized crop's region; the whole image where ten draws do not fit."""
    for _ in range(10):
        area = width * height * random.uniform(0.08, 1.0)
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return w, h, random.randint(0, width - w), random.randint(0, height - h)
    return width, height, 0, 0


def batches(settings: Settings) -> Iterator[Batch]:
    """Yield batches; FFmpeg's filters crop, scale (bilinear, averaging on downscale) and flip in its threads."""
    size = settings.size
    mean, std = MEAN.to(settings.device), STD.to(settings.device)

    def decode(sample: Sample) -> Frame:
        path, label = sample
        packets = spdl.io.demux_image(path)
        w, h, x, y = _region(packets.width, packets.height)
        flip = ",hflip" if random.random() < 0.5 else ""
        filters = f"crop={w}:{h}:{x}:{y},scale={size}:{size}:flags=bilinear{flip},format=pix_fmts=rgb24"
        return spdl.io.decode_packets(packets, filter_desc=filters), label

    def collate(frames: list[Frame]) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = spdl.io.to_torch(spdl.io.convert_frames([frame for frame, _ in frames])).permute(0, 3, 1, 2)
        images = pixels.to(settings.device, non_blocking=True).float().sub_(mean).div_(std)
        return images, torch.tensor([label for _, label in frames], device=settings.device)

    builder: PipelineBuilder[Sample, Batch] = PipelineBuilder()
    pipeline = (
        builder.add_source(_endless(settings))
        .pipe(decode, concurrency=settings.threads)
        .aggregate(settings.batch_size, drop_last=True)
        .pipe(collate)
        .add_sink(3)
        .build(num_threads=settings.threads)
    )
    with pipeline.auto_stop():
        yield from pipeline.get_iterator()

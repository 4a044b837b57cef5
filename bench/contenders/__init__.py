"""Who is measured. A contender is a function that gives batches without end; each module says how it is set up.

To add one: write ``batches(settings)`` in a module of this package and enter it in ``CONTENDERS``.
"""

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

Batch = tuple[torch.Tensor, torch.Tensor] | None
"""Images N×3×H×W float32 and dense or integer targets; None from a contender that stops before there are tensors."""

PREFETCH = 2
"""Batches that a worker process prepares ahead: PyTorch's default."""


def _is_installed(module: str) -> bool:
    """Looks for it without importing a package that it is in: one that is broken shall not end the benchmark."""
    places: Sequence[str] | None = None
    name = ""
    for part in module.split("."):
        if name and places is None:  # no package
            return False
        name = f"{name}.{part}" if name else part
        specs = (finder.find_spec(name, places) for finder in sys.meta_path)
        spec = next((spec for spec in specs if spec), None)
        if spec is None:
            return False
        places = spec.submodule_search_locations
    return True


@dataclass(frozen=True)
class Settings:
    """What is equal for all contenders."""

    data: Path
    images: int
    num_classes: int
    size: int
    batch_size: int
    threads: int
    device: str
    cache: Path
    packed: Path | None = None
    """A folder of shards of the same images, smaller; None where that is not measured."""


@dataclass(frozen=True)
class Contender:
    """One loader with its settings.

    ``source`` is ``module:function`` below this package, imported only in the process that measures it; ``arguments``
    are keyword arguments for it beyond the settings. ``note`` says what is not the same as in the others. With
    ``processes`` batches arrive in bursts of one for each worker. Who ``copies_data`` has long for the first batch. Who
    is ``packed`` reads the smaller images.
    """

    name: str
    label: str
    source: str
    modules: tuple[str, ...]
    mixes: bool
    note: str = ""
    processes: bool = False
    even_batch: bool = False
    copies_data: bool = False
    needs_gpu: bool = False
    packed: bool = False
    arguments: tuple[tuple[str, Any], ...] = ()

    def batches(self, settings: Settings) -> Iterator[Batch]:
        """Start it. The iterator has no end; closing it stops whatever was started."""
        module, function = self.source.split(":")
        make: Callable[..., Iterator[Batch]] = getattr(importlib.import_module(f"{__name__}.{module}"), function)
        return make(settings, **dict(self.arguments))

    def missing(self) -> list[str]:
        """Modules that it needs and that are not installed."""
        return [module for module in self.modules if not _is_installed(module)]

    def unfit(self, settings: Settings) -> str:
        """Why it cannot run with these settings; empty where it can."""
        if self.needs_gpu and settings.device == "cpu":
            return "needs a GPU"
        if self.even_batch and settings.batch_size % 2:
            return f"needs an even batch size ({settings.batch_size} given)"
        if self.packed and settings.packed is None:
            return "measured with --short-side only"
        return ""

    def burst(self, settings: Settings) -> int:
        """Rates are taken over whole multiples of this many batches."""
        return settings.threads if self.processes else 1

    def ahead(self, settings: Settings) -> int:
        """No more batches than this were prepared while it stood idle."""
        return (PREFETCH + 1) * settings.threads if self.processes else 8


CONTENDERS = (
    Contender("ours-cutmix", "dali_cutmix, CutMix", "ours:cutmix", ("nvidia.dali",), mixes=True),
    Contender(
        "ours-unfused",
        "dali_cutmix, CutMix, unfused",
        "ours:cutmix",
        ("nvidia.dali",),
        mixes=True,
        note="DALI's own operators resample and normalize, one after the other",
        arguments=(("fused", False),),
    ),
    Contender("ours-mixup", "dali_cutmix, Mixup", "ours:mixup", ("nvidia.dali",), mixes=True),
    Contender("ours", "dali_cutmix, no mixing", "ours:plain", ("nvidia.dali",), mixes=False),
    Contender(
        "dali",
        "plain DALI, no mixing",
        "dali:plain",
        ("nvidia.dali",),
        mixes=False,
        note="on a GPU with DALI's default upsampling of chroma: nvJPEG below 13.2 decodes no regions with the other",
    ),
    Contender(
        "dali-decode",
        "DALI, decode + crop only",
        "dali:decode",
        ("nvidia.dali",),
        mixes=False,
        note="the ceiling of this road: no resampling, no normalization, no tensors; chroma as plain DALI",
    ),
    Contender(
        "dali-decode-whole",
        "DALI, whole images decoded only",
        "dali:decode",
        ("nvidia.dali",),
        mixes=False,
        note="no cropping either",
        arguments=(("whole", True),),
    ),
    Contender(
        "dali-read",
        "DALI, reading only",
        "ours:read",
        ("nvidia.dali",),
        mixes=False,
        note="this library's reader, nothing decoded",
    ),
    Contender(
        "torchvision-pil",
        "torchvision (PIL), CutMix",
        "vision:pil",
        ("torchvision",),
        mixes=True,
        note="v2 transforms, v2.CutMix in the collate function",
        processes=True,
    ),
    Contender(
        "torchvision-io",
        "torchvision (io), CutMix",
        "vision:io",
        ("torchvision",),
        mixes=True,
        note="torchvision.io.decode_jpeg, v2 transforms on uint8 tensors, v2.CutMix in the collate function",
        processes=True,
    ),
    Contender(
        "torchvision-gpu",
        "torchvision (nvJPEG), CutMix",
        "vision_gpu:batches",
        ("torchvision",),
        mixes=True,
        note="decode_jpeg of whole batches by nvJPEG, v2 kernels and v2.CutMix on the device, made ahead by threads",
        needs_gpu=True,
    ),
    Contender(
        "timm",
        "timm, CutMix",
        "timm:batches",
        ("timm",),
        mixes=True,
        note="FastCollateMixup on uint8 in the workers; normalization on the device, by the consumer where that is "
        "the CPU",
        processes=True,
        even_batch=True,
    ),
    Contender(
        "ffcv",
        "FFCV, no mixing",
        "ffcv:batches",
        ("ffcv",),
        mixes=False,
        note="has no CutMix; the same JPEG bytes in one .beton file, channels last, area resampling, fast DCT",
        copies_data=True,
    ),
    Contender(
        "ours-packed",
        "dali_cutmix, CutMix, packed",
        "ours:packed",
        ("nvidia.dali",),
        mixes=True,
        note="shards of dali_cutmix.pack",
        packed=True,
    ),
    Contender(
        "ffcv-packed",
        "FFCV, no mixing, packed",
        "ffcv:packed",
        ("ffcv",),
        mixes=False,
        note="the bytes of those shards in one .beton file",
        copies_data=True,
        packed=True,
    ),
    Contender(
        "spdl",
        "SPDL, no mixing",
        "spdl:batches",
        ("spdl.pipeline", "spdl.io"),
        mixes=False,
        note="has no CutMix; its own decoder (FFmpeg) decodes, crops, scales and flips; channels last",
    ),
)
BASELINE = "dali"
OURS = "ours-cutmix"
READING = "dali-read"
"""Many times as fast as what decodes: not for the same chart."""

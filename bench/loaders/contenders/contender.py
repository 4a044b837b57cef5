"""What is measured: a loader, how it is set up, and what is equal for all."""

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

Batch = tuple[torch.Tensor, torch.Tensor] | None
"""Images N×3×H×W and dense or integer targets; None from a contender that stops before there are tensors."""

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

    ``source`` is ``module:function`` below ``bench.loaders.contenders``, imported only in the process that measures it;
    ``arguments`` are keyword arguments for it beyond the settings. ``note`` says what is not the same as in the others.
    With ``processes`` batches arrive in bursts of one for each worker. A contender with ``copies_data`` gets an hour
    for its first batch. One with ``packed`` reads the smaller images. ``dtype`` is that of its images.
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
    dtype: str = "float32"
    arguments: tuple[tuple[str, Any], ...] = ()

    def load(self) -> Callable[..., Iterator[Batch]]:
        """Import it."""
        module, function = self.source.split(":")
        make: Callable[..., Iterator[Batch]] = getattr(
            importlib.import_module(f"bench.loaders.contenders.{module}"), function
        )
        return make

    def batches(self, settings: Settings) -> Iterator[Batch]:
        """Start it. The iterator has no end; closing it stops whatever was started."""
        return self.load()(settings, **dict(self.arguments))

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

"""A contender: a loader to measure, what it needs, and the settings that are the same for all."""

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

Batch = tuple[torch.Tensor, torch.Tensor] | None
"""Images N×3×H×W and dense or integer targets; None from a contender that makes no tensors."""

PREFETCH = 2
"""Batches that a worker process prepares ahead: PyTorch's default."""


def _is_installed(module: str) -> bool:
    """Look for a module without importing its parent packages: a broken installation must not end the benchmark."""
    search_path: Sequence[str] | None = None
    name = ""
    for part in module.split("."):
        if name and search_path is None:  # not a package
            return False
        name = f"{name}.{part}" if name else part
        specs = (finder.find_spec(name, search_path) for finder in sys.meta_path)
        spec = next((spec for spec in specs if spec), None)
        if spec is None:
            return False
        search_path = spec.submodule_search_locations
    return True


@dataclass(frozen=True)
class Settings:
    """The settings that are the same for all contenders.

    ``data`` is a folder of classes, ``cache`` a folder for files to keep; ``packed`` holds shards of the same images,
    smaller, or None where those are not measured.
    """

    data: Path
    images: int
    num_classes: int
    size: int
    batch_size: int
    threads: int
    device: str
    cache: Path
    packed: Path | None = None


@dataclass(frozen=True)
class Contender:
    """A loader to measure.

    Args:
        name: on the command line and in the JSON.
        label: in tables and charts.
        source: ``module:function`` below ``bench.loaders.contenders``, imported only in the process that measures it.
        modules: modules that it needs.
        mixes: its targets are mixed, which is checked.
        note: how it differs from the others, to print under the table.
        processes: it has worker processes, so batches arrive in bursts of one for each worker.
        even_batch: it needs an even batch size.
        copies_data: it copies the data set before its first batch, and has an hour for that.
        needs_gpu: it cannot run on a CPU.
        packed: it reads the packed, smaller images.
        dtype: of its images.
        arguments: keyword arguments for ``source``, beyond the settings.
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
        """Import the function that yields its batches."""
        module, function = self.source.split(":")
        make: Callable[..., Iterator[Batch]] = getattr(
            importlib.import_module(f"bench.loaders.contenders.{module}"), function
        )
        return make

    def batches(self, settings: Settings) -> Iterator[Batch]:
        """Start it. The iterator has no end; closing it stops what was started."""
        return self.load()(settings, **dict(self.arguments))

    def missing(self) -> list[str]:
        """List the modules that it needs and that are not installed."""
        return [module for module in self.modules if not _is_installed(module)]

    def unfit_reason(self, settings: Settings) -> str:
        """Say why it cannot run with these settings; empty where it can."""
        if self.needs_gpu and settings.device == "cpu":
            return "needs a GPU"
        if self.even_batch and settings.batch_size % 2:
            return f"needs an even batch size ({settings.batch_size} given)"
        if self.packed and settings.packed is None:
            return "measured with --short-side only"
        return ""

    def burst(self, settings: Settings) -> int:
        """Number of batches that arrive together; rates are measured over multiples of it."""
        return settings.threads if self.processes else 1

    def prepared(self, settings: Settings) -> int:
        """Upper bound of the number of batches that are prepared while it is idle."""
        return (PREFETCH + 1) * settings.threads if self.processes else 8

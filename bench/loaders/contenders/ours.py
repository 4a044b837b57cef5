"""This library's own pipeline, as the README shows it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from nvidia.dali import pipeline_def

import dali_cutmix as dc
from bench.common import Batch, Settings
from bench.loaders.contenders.outputs import run_without_end
from pipelines import imagenet


def cutmix(settings: Settings, **options: Any) -> Iterator[Batch]:
    """With CutMix, α = 1; ``options`` are arguments of ``imagenet.train``."""
    return _batches(settings, dc.CutMix(alpha=1.0), options)


def packed(settings: Settings) -> Iterator[Batch]:
    """With CutMix, from shards of smaller images."""
    assert settings.packed is not None  # Contender.unfit
    return cutmix(replace(settings, data=settings.packed))


def mixup(settings: Settings) -> Iterator[Batch]:
    """With Mixup, α = 1."""
    return _batches(settings, dc.Mixup(alpha=1.0), {})


def plain(settings: Settings) -> Iterator[Batch]:
    """The same without mixing: what mixing costs is the difference."""
    return _batches(settings, None, {})


def read(settings: Settings) -> Iterator[Batch]:
    """The reader alone, with the settings that it has in the others; nothing is decoded."""

    @pipeline_def(**dc.pipeline_options(settings.batch_size, device=settings.device, num_threads=settings.threads))
    def graph() -> Any:
        return dc.read_folder(settings.data)[0]

    yield from run_without_end(graph())


def _batches(settings: Settings, mix: dc.Policy | None, options: dict[str, Any]) -> Iterator[Batch]:
    same = {
        "batch_size": settings.batch_size,
        "size": settings.size,
        "mix": mix,
        "device": settings.device,
        "num_threads": settings.threads,
    }
    loader = imagenet.train(settings.data, **(same | options))
    while True:
        yield from (cast(Batch, batch) for batch in loader)

"""This library's loader, as the README shows it; and its reader alone."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from nvidia.dali import pipeline_def

import dali_cutmix as dc
from bench.loaders.contenders import Batch, Settings
from bench.loaders.contenders.endless_pipeline import run_without_end
from pipelines import imagenet


def cutmix(settings: Settings, **options: Any) -> Iterator[Batch]:
    """Yield batches with CutMix, α = 1; ``options`` are arguments of ``imagenet.train``."""
    return _batches(settings, dc.CutMix(alpha=1.0), options)


def packed(settings: Settings) -> Iterator[Batch]:
    """Yield batches with CutMix of the packed, smaller images."""
    assert settings.packed is not None  # checked by Contender.unfit_reason
    return cutmix(replace(settings, data=settings.packed))


def mixup(settings: Settings) -> Iterator[Batch]:
    """Yield batches with Mixup, α = 1."""
    return _batches(settings, dc.Mixup(alpha=1.0), {})


def plain(settings: Settings) -> Iterator[Batch]:
    """Yield batches without mixing: the difference is what mixing costs."""
    return _batches(settings, None, {})


def read(settings: Settings) -> Iterator[Batch]:
    """Run the reader alone, with the same options as in the loader; nothing is decoded."""

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

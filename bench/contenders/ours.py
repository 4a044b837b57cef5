"""This library's own pipeline, as the README shows it."""

from collections.abc import Iterator
from typing import cast

import dali_cutmix as dc
from bench.contenders import Batch, Settings
from pipelines import imagenet


def cutmix(settings: Settings) -> Iterator[Batch]:
    """With CutMix, α = 1."""
    return _batches(settings, dc.CutMix(alpha=1.0))


def plain(settings: Settings) -> Iterator[Batch]:
    """The same without mixing: what mixing costs is the difference."""
    return _batches(settings, None)


def _batches(settings: Settings, mix: dc.Policy | None) -> Iterator[Batch]:
    loader = imagenet.train(
        settings.data,
        batch_size=settings.batch_size,
        size=settings.size,
        mix=mix,
        device=settings.device,
        num_threads=settings.threads,
    )
    while True:
        yield from (cast(Batch, batch) for batch in loader)

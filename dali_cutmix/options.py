"""Options that all complete graphs have in common, each documented once."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack

import torch

from dali_cutmix._dali import pipeline_options
from dali_cutmix.ops import IMAGENET_MEAN, IMAGENET_STD
from dali_cutmix.utils import check_levels


class CommonOptions(TypedDict, total=False):
    """Keyword arguments that ``train`` and ``val`` of every graph in ``pipelines/`` take; leave out any of them.

    ``seed`` is not among them: ``train`` has it as an argument of its own, and ``val`` draws nothing at random.

    Example:
        >>> options: dc.CommonOptions = {"batch_size": 4, "device": "cpu", "channels_last": True}
        >>> dc.split_options(options).normalize
        {'channels_last': True}
    """

    batch_size: int
    """Samples in a batch of this rank; the default is the graph's own."""
    device: str | torch.device
    """``"cpu"``, ``"cuda:N"``, or ``"auto"`` (default): the current GPU, or the CPU where there is none."""
    shard: tuple[int, int]
    """(rank, world_size), by default (0, 1)."""
    num_threads: int | None
    """Threads of the decoder, by default this process's part of the cores."""
    prefetch: int
    """Batches that are prepared ahead, by default 2."""
    dtype: torch.dtype | str
    """Type of the images: float32 (default), float16 or bfloat16."""
    channels_last: bool
    """Images in torch's channels_last memory format, by default False."""
    mean: float | Sequence[float]
    """Mean of the pixels, one for all channels or one for each, in levels of 0 to 255; by default ImageNet's, if the
    graph has no other."""
    std: float | Sequence[float]
    """Standard deviation of the pixels; its form and default are as for ``mean``."""
    max_pixels: int
    """Width × height of the largest image that is decoded, by default ``dc.MAX_PIXELS``; a larger one is a bad file."""
    formats: Collection[str]
    """Names of the formats that are decoded, by default ``dc.FORMATS``, see ``dc.random_crop``."""
    on_error: Literal["raise", "replace"]
    """What to do about a file that cannot be decoded, see ``dc.Loader``; by default ``"raise"``."""
    max_bad: float
    """Fraction of all samples that may be replaced, by default 0.01."""
    bad_log: str | os.PathLike[str]
    """File to which replaced samples are appended, by default ``"bad_files.jsonl"``."""
    retry: float
    """Seconds for which failing storage is tried again, by default 60, see ``dc.Loader``."""
    after_break: Literal["continue", "restart"] | None
    """What follows a pass that was left early, see ``dc.Loader``."""
    steps_per_epoch: int | None
    """Batches in a pass, see ``dc.Loader``; by default those of an epoch. For ``train`` only."""


@dataclass(frozen=True)
class OptionGroups:
    """Common options, sorted by the function that takes them; an option that is not given has that function's default.

    :func:`split_options` makes one.

    Example:
        >>> groups = dc.split_options({"device": "cpu", "on_error": "replace"}, batch_size=64)
        >>> isinstance(groups, dc.OptionGroups), groups.loader
        (True, {'on_error': 'replace'})
    """

    shard: tuple[int, int]
    """(rank, world_size), for the verb that reads."""
    pipeline: dict[str, Any]
    """Arguments of ``@pipeline_def``, from ``dc.pipeline_options``."""
    crop: dict[str, Any]
    """Arguments of the verb that decodes: ``max_pixels``, ``formats``."""
    normalize: dict[str, Any]
    """Arguments of ``dc.normalize``."""
    loader: dict[str, Any]
    """Arguments of ``dc.Loader``."""


_GROUPS = {
    "pipeline": ("batch_size", "device", "num_threads", "prefetch", "shard"),
    "crop": ("max_pixels", "formats"),
    "normalize": ("mean", "std", "dtype", "channels_last"),
    "loader": ("on_error", "max_bad", "bad_log", "retry", "after_break", "steps_per_epoch"),
}


def split_options(given: CommonOptions, *, seed: int = 0, **defaults: Unpack[CommonOptions]) -> OptionGroups:
    """Sort a graph's common options by the function that takes them.

        batch_size, device, num_threads, prefetch, shard, seed ──▶ @pipeline_def(**groups.pipeline)
        shard                                                  ──▶ dc.read_…(shard=groups.shard, seed=seed)
        max_pixels, formats                                    ──▶ dc.…_crop(jpegs, **groups.crop)
        mean, std, dtype, channels_last                        ──▶ dc.normalize(images, **groups.normalize)
        on_error, max_bad, bad_log, retry,
        after_break, steps_per_epoch                           ──▶ dc.Loader(graph, **groups.loader)

    Args:
        given: what the caller gave.
        seed: seed of every random draw; evaluation has none.
        defaults: the graph's own defaults, such as its batch size; ``given`` comes before them.

    Raises:
        TypeError: an unknown option; the message names it and those that are allowed.
        ValueError: an invalid option of the pipeline, see ``dc.pipeline_options``, or invalid ``mean`` and ``std``, see
            ``dc.normalize``.

    Example:
        >>> def val(root, *, size=224, **options):
        ...     groups = dc.split_options(options, batch_size=2)
        ...     @pipeline_def(**groups.pipeline)
        ...     def graph():
        ...         jpegs, labels = dc.read_folder(root, shard=groups.shard, shuffle=False)
        ...         images = dc.resize_center_crop(jpegs, size, **groups.crop)
        ...         return dc.normalize(images, **groups.normalize), labels
        ...     return dc.Loader(graph(), **groups.loader)
        >>> loader = val("photos", device="cpu", channels_last=True)
        >>> val("photos", divice="cpu")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        TypeError: unexpected keyword argument 'divice'; allowed, besides the function's own, are batch_size, ...
    """
    allowed = CommonOptions.__annotations__
    if unknown := [name for name in given if name not in allowed]:
        raise TypeError(
            f"unexpected keyword argument {', '.join(map(repr, unknown))}; allowed, besides the function's own, are "
            f"{', '.join(allowed)}."
        )
    values: dict[str, Any] = {**defaults, **given}
    groups = {group: {name: values[name] for name in names if name in values} for group, names in _GROUPS.items()}
    check_levels(values.get("mean", IMAGENET_MEAN), values.get("std", IMAGENET_STD))
    groups["pipeline"] = pipeline_options(seed=seed, **groups["pipeline"])
    return OptionGroups(shard=values.get("shard", (0, 1)), **groups)

"""check_ranks: compare the loaders of all ranks before training, and name the ranks that differ."""

from collections.abc import Mapping
from typing import Any

import numpy
import nvidia.dali
import torch
import torch.distributed as dist

from dali_cutmix._version import __version__
from dali_cutmix.loader.loader import Loader
from dali_cutmix.loader.ranks.all_ranks import AllRanks

AnyLoader = Loader | AllRanks
_OF_EACH_RANK = ("rank", "seed")
"""Values of a state that differ between ranks: the shard, and the seed that draws other crops on each."""
_POSITION = ("epoch", "batch", "pass_number", "pass_step", "mixup_enabled")
_NAMED = 10
"""Differences in a message at most; the others are counted."""


def check_ranks(
    loaders: AnyLoader | Mapping[str, AnyLoader],
    *,
    also: Mapping[str, object] | None = None,
    group: dist.ProcessGroup | None = None,
) -> None:
    """Refuse ranks that do not belong together; call it on all of them, before the first step.

    Ranks with other files, options or versions would train on without a word, or wait for each other for ever. Compared
    are the samples and their order, the options of crops and mixing, ``len(loader)``, the position, the versions of
    dali_cutmix, DALI, PyTorch and NumPy, and that each rank reads a shard of its own.

    Args:
        loaders: this rank's loader, or several by name.
        also: further values that must be the same, by name; they are compared by their ``repr``.
        group: the ranks that share the data; by default all.

    Raises:
        ValueError: ranks differ; the message, the same on all ranks, names them, with the values. Or a loader has a
            shard of several, and ``torch.distributed`` is not initialized.

    Example:
        >>> @pipeline_def(**dc.pipeline_options(batch_size=4, device="cpu"))
        ... def graph():
        ...     jpegs, labels = dc.read_folder("photos")
        ...     return dc.random_resized_crop(jpegs, 64), labels
        >>> loader = dc.Loader(graph())
        >>> dc.check_ranks(loader, also={"learning rate": 0.1})
    """
    named = _named(loaders)
    mine: dict[str, str] = {
        "dali_cutmix": __version__,
        "DALI": nvidia.dali.__version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        **{name: repr(value) for name, value in (also or {}).items()},
    }
    shards: dict[str, tuple[int, int] | None] = {}
    for prefix, loader in named.items():
        state = loader.loader.state_dict() if isinstance(loader, AllRanks) else loader.state_dict()
        mine |= {f"{prefix}{name}": repr(value) for name, value in _comparable(state, len(loader)).items()}
        shards[prefix] = _shard(state["binding"])
    everyone = _gather((mine, shards), group)
    for prefix in named:
        _check_shards(prefix, [of_rank[1].get(prefix) for of_rank in everyone])
    if different := _differences([of_rank[0] for of_rank in everyone]):
        raise ValueError(f"{different}. Give all ranks the same data, options and versions.")


def _named(loaders: AnyLoader | Mapping[str, AnyLoader]) -> dict[str, AnyLoader]:
    """The loaders by the prefix of their values' names."""
    if isinstance(loaders, Loader | AllRanks):
        return {"": loaders}
    return {f"{name} ": loader for name, loader in loaders.items()}


def _comparable(state: dict[str, Any], length: int) -> dict[str, Any]:
    """What all ranks must have in common."""
    same = {name: value for name, value in state["binding"].items() if name not in _OF_EACH_RANK}
    return same | {"len": length} | {name: state[name] for name in _POSITION}


def _shard(binding: dict[str, Any]) -> tuple[int, int] | None:
    """Rank and number of shards; None without a verb's reader, where shards are not known."""
    return (binding["rank"], binding["world_size"]) if binding["files"] is not None else None


def _gather(mine: Any, group: dist.ProcessGroup | None) -> list[Any]:
    if not dist.is_initialized():
        return [mine]
    everyone: list[Any] = [None] * dist.get_world_size(group)
    dist.all_gather_object(everyone, mine, group=group)
    return everyone


def _check_shards(prefix: str, shards: list[tuple[int, int] | None]) -> None:
    """Refuse shards of which two are the same, or some are missing."""
    known = [shard for shard in shards if shard is not None]
    if len(known) < len(shards) or sorted(known) == [(rank, len(shards)) for rank in range(len(shards))]:
        return
    given = ", ".join(f"{shard} on rank {rank}" for rank, shard in enumerate(known[:_NAMED]))
    given += ", …" if len(known) > _NAMED else ""
    raise ValueError(
        f"{prefix}shard: {given}; allowed is one shard of {len(known)} for each of {len(known)} ranks: give each "
        "rank shard=(rank, world_size), after torch.distributed.init_process_group."
    )


def _differences(everyone: list[dict[str, str]]) -> str:
    """Which ranks differ from the first, and in what; empty where all are the same."""
    first = everyone[0]
    found: dict[str, list[int]] = {}
    for rank, values in enumerate(everyone[1:], 1):
        different = [
            f"{name}: {_shortened(values.get(name))} there, {_shortened(first.get(name))} on rank 0"
            for name in {**first, **values}
            if values.get(name) != first.get(name)
        ]
        if different:
            found.setdefault("; ".join(_first(different)), []).append(rank)
    parts = [f"{_in_words(ranks)} from rank 0 ({what})" for what, ranks in found.items()]
    return "; ".join(_first(parts))


def _in_words(ranks: list[int]) -> str:
    if len(ranks) == 1:
        return f"rank {ranks[0]} differs"
    *some, last = [str(rank) for rank in ranks] if len(ranks) <= _NAMED else [*map(str, ranks[:_NAMED]), "others"]
    return f"ranks {', '.join(some)} and {last} differ"


def _first(parts: list[str]) -> list[str]:
    return parts if len(parts) <= _NAMED else [*parts[:_NAMED], f"and {len(parts) - _NAMED} more"]


def _shortened(value: str | None) -> str:
    if value is None:
        return "none"
    return value if len(value) <= 80 else f"{value[:80]}…"

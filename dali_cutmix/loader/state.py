"""The state of a Loader: which values it is bound to, and the refusal of a state that belongs to something else."""

import base64
import re
import warnings
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import torch

from dali_cutmix._dali import Place, check_checkpoint, localized, portable
from dali_cutmix.gpu import nvjpeg_limits
from dali_cutmix.loader.epoch import Epoch
from dali_cutmix.loader.position import Pass, Position
from dali_cutmix.loader.state_form import VERSION, State, check_form, damaged, shortened, signed
from dali_cutmix.ops import Notes
from dali_cutmix.sources import READER

_DEFAULTS = {"stretch": "False"}
"""Values of states that were saved before these were part of them."""


def make_binding(graph: Notes, epoch: Epoch, seed: int, fused: bool) -> dict[str, Any]:
    """Values that must be the same in the loader that continues a state: data, order, crops and mixing.

    Raises:
        ValueError: ``bind_state`` was given a name that the Loader, or a verb of its graph, binds itself.
    """
    source = graph.source
    own = {
        **asdict(epoch),
        "files": source.digest if source else None,
        "shuffle_seed": source.seed if source else None,
        "seed": seed,
        **_prefixed(_crop_names(graph), [{n: repr(v) for n, v in crop.arguments.items()} for crop in graph.crops]),
        **({} if graph.mixes else {"mix": None}),
        **_prefixed(graph.mixes, [mixing.binding() for mixing in graph.mixes.values()]),
        "fused": fused,
    }
    bound = {name: repr(value) for name, value in graph.bound.items()}
    if taken := [name for name in bound if name in own and own[name] != bound[name]]:
        raise ValueError(
            f"bind_state: {taken[0]}={graph.bound[taken[0]]!r} given, but {taken[0]} is bound already to "
            f"{own[taken[0]]!r}; give it another name."
        )
    return own | bound


def _crop_names(graph: Notes) -> list[str]:
    return [f"crop_{number}" for number in range(1, len(graph.crops) + 1)]


def _prefixed(names: Iterable[str], values: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Values of several verbs, by name: those of the first as they are, the others' as ``crop_2.size``."""
    return {
        f"{prefix}.{name}" if number else name: value
        for number, (prefix, of_one) in enumerate(zip(names, values, strict=True))
        for name, value in of_one.items()
    }


def describe_decoder(graph: Notes, device: int | None) -> dict[str, Any]:
    """Describe the decoder, on which pixels may depend by a level or two."""
    loads = [{"hw_decoder_load": crop.hw_decoder_load} for crop in graph.crops]
    options = {"hw_decoder_load": None, **_prefixed(_crop_names(graph), loads)}
    if device is None:
        return {"gpu": None, "nvjpeg": None, **options}
    library = nvjpeg_limits.library()
    version = ".".join(map(str, library.version)) if library else None
    return {"gpu": torch.cuda.get_device_name(device), "nvjpeg": version, **options}


def pack(binding: dict[str, Any], *, checkpoint: bytes, **position: Any) -> State:
    """Make a state: a small dict of str, int, float and None, fit for JSON and ``torch.load(weights_only=True)``."""
    pipeline = base64.b64encode(portable(checkpoint)).decode()
    return signed({"binding": dict(binding), "pipeline": pipeline, **position})


def position(state: State, own: bytes, epoch: Epoch, *, shuffles: bool | None, fed: bool) -> Position:
    """The position in a state; its own fields for the pass are missing if an earlier version saved it.

    Args:
        state: the state, see :func:`check`.
        own: any checkpoint of the pipeline that it is for.
        epoch: of that pipeline.
        shuffles: whether the verb that reads shuffles; None if the graph has a reader of its own, or none.
        fed: whether all data comes from ``fn.external_source``.

    Raises:
        ValueError: the state is damaged.
    """
    number, batch = state["epoch"], state["batch"]
    if batch > epoch.batches:
        raise damaged(f"batch={batch} given; an epoch has {epoch.batches} batches")
    state = {"pass_number": number, "pass_step": batch} | state
    delivered = epoch.number(number, batch)
    if state["pass_step"] > delivered:
        raise damaged(f"pass_step={state['pass_step']} given; there are {delivered} batches before its place")
    # At an epoch's end DALI's reader stands at the start of the next one. Without shuffling all epochs are alike, and
    # its own number of the epoch may be another one.
    ended, run = divmod(batch, epoch.runs)
    reader = None if shuffles is None else (READER, number + ended if shuffles else None, run * epoch.batch_size)
    place = Place(epoch.runs * epoch.batch_size, reader, number * epoch.runs + batch if fed else None)
    try:
        checkpoint = localized(base64.b64decode(state["pipeline"]), own, all_operators=state["version"] == VERSION)
        check_checkpoint(checkpoint, own, place)
    except (ValueError, LookupError) as error:
        raise damaged(f"its pipeline's checkpoint cannot be read: {error}") from error
    return Position(number, batch, checkpoint, Pass(state["pass_number"], delivered - state["pass_step"]))


def warn_of_another_decoder(state: State, decoder: dict[str, Any]) -> None:
    """Warn if another decoder made the batches when the state was saved; the message has both."""
    if different := _differences(state.get("decoder", decoder), decoder):
        warnings.warn(
            f"load_state_dict: another decoder made the batches when the state was saved ({different}). Order, crops "
            "and mixing continue exactly; pixels may differ by a level or two.",
            stacklevel=4,
        )


def check(state: State, binding: dict[str, Any], samples: range | None) -> None:
    """Refuse a state that this Loader cannot continue exactly.

    Args:
        state: what was given.
        binding: this loader's.
        samples: numbers of those in this shard; None if the loader replaces none.

    Raises:
        ValueError: not a state of a Loader, one of another version, a damaged one, or one bound to other values, with
            both of them in the message.
    """
    check_form(state)
    if different := _differences(_DEFAULTS | state["binding"], _DEFAULTS | binding):
        raise ValueError(
            f"load_state_dict: the state belongs to another loader and cannot be continued exactly ({different}). "
            "Build the loader as it was when the state was saved."
        )
    total = binding["total"] if samples else 0
    if wrong := [number for number in state["bad"] if number >= total]:
        raise damaged(f"bad={shortened(wrong)} given; allowed are numbers below {total}, the samples")
    if samples and sum(number in samples for number in state["bad"]) == len(samples):
        raise damaged(f"bad={shortened(state['bad'])} given; it names all samples of this shard")


def _differences(saved: dict[str, Any], here: dict[str, Any]) -> str:
    """Values that differ, as text; empty where all are the same."""
    return "; ".join(
        f"{name}: {saved.get(name)!r} saved, {here.get(name)!r} here"
        for name in {**here, **saved}
        if _comparable(name, saved.get(name)) != _comparable(name, here.get(name))
    )


def _comparable(name: str, value: Any) -> Any:
    """The same value for a policy that was saved as ``CutMix(alpha=1, …)``: policies once kept numbers as given."""
    if not (isinstance(value, str) and name.rpartition(".")[2] == "mix"):
        return value
    plain = re.sub(r"np\.(?:float64|u?int\d+)\(([^()]*)\)", r"\1", value)
    return re.sub(r"(?<=[=( ])(\d+)(?=[,)])", r"\1.0", plain)

"""The state of a Loader: which values it is bound to, and the refusal of a state that belongs to something else."""

import base64
import warnings
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import torch

from dali_cutmix._dali import localized, portable
from dali_cutmix.gpu import nvjpeg_limits
from dali_cutmix.loader.epoch import Epoch
from dali_cutmix.loader.position import Pass, Position
from dali_cutmix.ops import Notes

VERSION = 2
_DEFAULTS = {"stretch": "False"}
"""Values of states that were saved before these were part of them."""

State = dict[str, Any]


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
    return {"version": VERSION, "binding": dict(binding), "pipeline": pipeline, **position}


def unpack_checkpoint(state: State, own: bytes) -> bytes:
    """The checkpoint in a state.

    Args:
        state: the state.
        own: any checkpoint of the pipeline that it is for.

    Raises:
        ValueError: the state is damaged.
    """
    try:
        return localized(base64.b64decode(state["pipeline"]), own)
    except (ValueError, LookupError) as error:
        raise ValueError(
            "load_state_dict: the state is damaged (its pipeline's checkpoint cannot be read) and cannot be continued "
            "exactly; load another one."
        ) from error


def position(state: State, checkpoint: bytes, epoch: Epoch) -> Position:
    """The position in a state; its own fields for the pass are missing if an earlier version saved it."""
    state = {"pass_number": state["epoch"], "pass_step": state["batch"]} | state
    first = epoch.number(state["epoch"], state["batch"]) - state["pass_step"]
    return Position(state["epoch"], state["batch"], checkpoint, Pass(state["pass_number"], first))


def warn_of_another_decoder(state: State, decoder: dict[str, Any]) -> None:
    """Warn if another decoder made the batches when the state was saved; the message has both."""
    if different := _differences(state.get("decoder", decoder), decoder):
        warnings.warn(
            f"load_state_dict: another decoder made the batches when the state was saved ({different}). Order, crops "
            "and mixing continue exactly; pixels may differ by a level or two.",
            stacklevel=3,
        )


def check(state: State, binding: dict[str, Any]) -> None:
    """Refuse a state that this Loader cannot continue exactly.

    Raises:
        ValueError: not a state of a Loader, one of a newer version, or one bound to other values; the message has both.
    """
    if not isinstance(state, dict) or "version" not in state or "binding" not in state:
        raise ValueError(
            "load_state_dict: this is not a state of a dali_cutmix Loader; give what state_dict() returned."
        )
    if state["version"] != VERSION:
        raise ValueError(
            f"load_state_dict: the state has version {state['version']}, this dali_cutmix reads version {VERSION}; "
            "use the version of dali_cutmix that saved it."
        )
    if different := _differences(_DEFAULTS | state["binding"], _DEFAULTS | binding):
        raise ValueError(
            f"load_state_dict: the state belongs to another loader and cannot be continued exactly ({different}). "
            "Build the loader as it was when the state was saved."
        )


def _differences(saved: dict[str, Any], here: dict[str, Any]) -> str:
    """Values that differ, as text; empty where all are the same."""
    return "; ".join(
        f"{name}: {saved.get(name)!r} saved, {here.get(name)!r} here"
        for name in {**here, **saved}
        if saved.get(name) != here.get(name)
    )

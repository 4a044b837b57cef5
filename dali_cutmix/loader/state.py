"""The state of a Loader: what it is bound to, and the refusal of a state that belongs to something else."""

import base64
import warnings
from typing import Any

from dali_cutmix._dali import localized, portable

VERSION = 2
_UNSAID = {"stretch": "False"}
"""What states were saved with before it was noted down in them."""

State = dict[str, Any]


def bind(own: dict[str, Any], bound: dict[str, Any]) -> dict[str, Any]:
    """What a Loader's state is bound to: its own values, and those of ``bind_state``.

    Raises:
        ValueError: ``bind_state`` was given a name that the Loader, or a verb of its graph, binds itself.
    """
    values = {name: repr(value) for name, value in bound.items()}
    if taken := [name for name in values if name in own and own[name] != values[name]]:
        raise ValueError(
            f"bind_state: {taken[0]}={bound[taken[0]]!r} given, but {taken[0]} is bound already to "
            f"{own[taken[0]]!r}; give it another name."
        )
    return own | values


def pack(binding: dict[str, Any], *, checkpoint: bytes, **position: Any) -> State:
    """A small dict of str, int, float and None, fit for JSON and ``torch.load(weights_only=True)``."""
    pipeline = base64.b64encode(portable(checkpoint)).decode()
    return {"version": VERSION, "binding": dict(binding), "pipeline": pipeline, **position}


def checkpoint(state: State, own: bytes) -> bytes:
    """The checkpoint that a state holds, for the pipeline that ``own``, a checkpoint of DALI's, belongs to.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return localized(base64.b64decode(state["pipeline"]), own)
    except (ValueError, LookupError) as error:
        raise ValueError(
            "load_state_dict: the state is damaged (its pipeline's checkpoint cannot be read) and cannot be continued "
            "exactly; load another one."
        ) from error


def warn_of_another_decoder(state: State, decoder: dict[str, Any]) -> None:
    """Say what differs of what decodes, where a state says it; both values are named."""
    if different := _differences(state.get("decoder", decoder), decoder):
        warnings.warn(
            f"load_state_dict: another decoder made the batches when the state was saved ({different}). Order, crops "
            "and mixing continue exactly; pixels may differ by a level or two.",
            stacklevel=3,
        )


def check(state: State, binding: dict[str, Any]) -> None:
    """Refuse a state that this Loader cannot continue exactly.

    Raises:
        ValueError: no state of a Loader, one of a newer version, or one bound to other values; both are named.
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
    if different := _differences(_UNSAID | state["binding"], binding):
        raise ValueError(
            f"load_state_dict: the state belongs to another loader and cannot be continued exactly ({different}). "
            "Build the loader as it was when the state was saved."
        )


def _differences(saved: dict[str, Any], here: dict[str, Any]) -> str:
    """What is not the same, with both values; empty where all is."""
    return "; ".join(
        f"{name}: {saved.get(name)!r} saved, {value!r} here" for name, value in here.items() if saved.get(name) != value
    )

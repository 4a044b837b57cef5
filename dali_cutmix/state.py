"""The state of a Loader: what it is bound to, and the refusal of a state that belongs to something else."""

from typing import Any

VERSION = 2
_UNSAID = {"stretch": "False"}
"""What states were saved with before it was noted down in them."""

State = dict[str, Any]


def pack(binding: dict[str, Any], **position: Any) -> State:
    """A small dict of str, int and None, fit for JSON and ``torch.load(weights_only=True)``."""
    return {"version": VERSION, "binding": dict(binding), **position}


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
    saved = _UNSAID | state["binding"]
    different = [
        f"{name}: {saved.get(name)!r} saved, {value!r} here"
        for name, value in binding.items()
        if saved.get(name) != value
    ]
    if different:
        raise ValueError(
            "load_state_dict: the state belongs to another loader and cannot be continued exactly ("
            + "; ".join(different)
            + "). Build the loader as it was when the state was saved."
        )

"""The form of a state: its keys, the types and ranges of their values, and a digest that shows any change.

{"version": 3, "binding": {…}, "pipeline": "…", "epoch": 0, …, "digest": "…"}
      │                                                            └─ SHA-256 of all else, as JSON
      └─ states of version 2 have no digest, and may lack some keys
"""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

from dali_cutmix._dali import MOST

VERSION = 3
_READABLE = (2, VERSION)

State = dict[str, Any]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST


def _is_named(value: Any) -> bool:
    """Whether this is a dict of plain values by name."""
    return isinstance(value, dict) and all(
        isinstance(name, str) and (plain is None or isinstance(plain, str | int | float))
        for name, plain in value.items()
    )


def _is_base64(value: Any) -> bool:
    try:
        return isinstance(value, str) and base64.b64encode(base64.b64decode(value, validate=True)).decode() == value
    except ValueError:
        return False


def _are_numbers(value: Any) -> bool:
    """Whether these are numbers of samples, each larger than the one before."""
    return isinstance(value, list) and all(map(_is_whole, value)) and value == sorted({*value})


_WHOLE = f"a whole number from 0 to 2**{MOST.bit_length() - 1} - 1"
_VALUES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "binding": ("a dict of values by name", _is_named),
    "pipeline": ("a string in base64", _is_base64),
    "epoch": (_WHOLE, _is_whole),
    "batch": (_WHOLE, _is_whole),
    "pass_number": (_WHOLE, _is_whole),
    "pass_step": (_WHOLE, _is_whole),
    "decoder": ("a dict of values by name", _is_named),
    "mixup_enabled": ("True or False, or that by name", lambda _: True),  # judged by Mixes.unpack
    "bad": ("a sorted list of samples' numbers", _are_numbers),
    "digest": ("a string", lambda value: isinstance(value, str)),
}
"""What a state holds beside its version: by name, what is allowed, in words and as a check."""
_OPTIONAL = {"pass_number", "pass_step", "decoder"}
"""Values that states of version 2 did not always have."""


def signed(state: State) -> State:
    """Make a state complete: with its version and its digest."""
    state = {"version": VERSION, **state}
    return state | {"digest": _digest(state)}


def check_form(state: State) -> None:
    """Refuse what is no state, and a state that is not as it was saved.

    Raises:
        ValueError: not a state of a Loader, one of another version, or a damaged one.
    """
    if not isinstance(state, dict) or "version" not in state or "binding" not in state:
        raise ValueError(
            "load_state_dict: this is not a state of a dali_cutmix Loader; give what state_dict() returned."
        )
    version = state["version"]
    if type(version) is not int or version not in _READABLE:
        raise ValueError(
            f"load_state_dict: the state has version {shortened(version)}, this dali_cutmix reads version "
            f"{' and '.join(map(str, _READABLE))}; use the version of dali_cutmix that saved it."
        )
    known = _VALUES if version == VERSION else {n: value for n, value in _VALUES.items() if n != "digest"}
    for name, (what, fits) in known.items():
        if name not in state and (version == VERSION or name not in _OPTIONAL):
            raise damaged(f"it has no {name!r}")
        if name in state and not fits(state[name]):
            raise damaged(f"{name}={shortened(state[name])} given; allowed is {what}")
    if unknown := [name for name in state if name not in known and name != "version"]:
        raise damaged(f"{shortened(unknown[0])} is no part of a state")
    if version == VERSION and state["digest"] != _digest(state):
        raise damaged("its digest is that of other values: it was changed after it was saved")


def _digest(state: State) -> str:
    """SHA-256 of all values but the digest; the same after JSON or ``torch.save``."""
    content = {name: value for name, value in state.items() if name != "digest"}
    try:
        text = json.dumps(content, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return ""  # no state holds such a value
    return hashlib.sha256(text.encode()).hexdigest()


def damaged(what: str) -> ValueError:
    """The error for a damaged state."""
    return ValueError(
        f"load_state_dict: the state is damaged ({what}) and cannot be continued exactly; load another one."
    )


def shortened(value: Any) -> str:
    """A value as text, of at most a line."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply, or a number of thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:80]}…"

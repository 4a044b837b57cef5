"""States that were changed on purpose, as version 2 allows: it has no digest."""

from typing import Any

State = dict[str, Any]


def as_version_2(saved: State, **changes: Any) -> State:
    """The state as version 2 saved it, with other values in place of some."""
    return {name: value for name, value in saved.items() if name != "digest"} | {"version": 2} | changes

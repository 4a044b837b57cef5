"""Accepted: the optional arguments that a user's own function takes."""

import inspect
from collections.abc import Callable
from typing import Any


def accepted(function: Callable[..., Any], **arguments: Any) -> dict[str, Any]:
    """Those of the arguments that are given (not None) and that a function takes, by name.

    def read(*, shard, seed): …
    accepted(read, num_classes=80)           {}
    accepted(dc.read_folder, num_classes=80) {"num_classes": 80}
    """
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # some that are not written in Python do not say
        return {}
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return {name: value for name, value in arguments.items() if value is not None and (takes_all or name in parameters)}

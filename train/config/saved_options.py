"""Checks of the types of options that a checkpoint holds: no command line has parsed them."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

LARGEST = 2**63
"""Whole numbers are below it."""


def check_options(kind: type[Any], options: Any) -> None:
    """Refuse options that have not the types of a configuration's fields; unknown ones are not looked at.

    Example::

        >>> from train.config import Config
        >>> check_options(Config, {"recipe": "digits", "lr": "high"})
        Traceback (most recent call last):
        ValueError: --lr 'high' is saved; allowed is float.

    Args:
        kind: the configuration's class.
        options: what `train.config.RunConfig.to_dict` gave.

    Raises:
        ValueError: the options are none, one without a default is missing, or one has another type.
    """
    if not isinstance(options, dict) or not all(isinstance(name, str) for name in options):
        raise ValueError("the options are not a dict of values by name.")
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        if field.name not in options and field.default is dataclasses.MISSING:
            raise ValueError(f"--{field.name.replace('_', '-')} is not saved.")
        if field.name in options and not fits(options[field.name], hints[field.name]):
            value = repr(options[field.name])
            shown = value if len(value) <= 80 else f"{value[:80]}…"
            raise ValueError(f"--{field.name.replace('_', '-')} {shown} is saved; allowed is {field.type}.")


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain value has a type; paths are text."""
    inside = get_args(hint)
    match get_origin(hint):
        case origin if origin is Annotated:
            return fits(value, inside[0])
        case origin if origin in (Union, UnionType):
            return any(fits(value, one) for one in inside)
        case origin if origin is Literal:
            return isinstance(value, str) and value in inside
        case origin if origin is tuple:
            if not isinstance(value, tuple | list):
                return False
            each = [inside[0]] * len(value) if inside[-1] is Ellipsis else inside
            return len(value) == len(each) and all(map(fits, value, each))
    if hint is int or (hint is float and isinstance(value, int)):
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST
    if hint is float:
        return isinstance(value, float) and math.isfinite(value)
    if hint is Path:
        return isinstance(value, str) and "\0" not in value
    return isinstance(value, NoneType if hint is NoneType else hint)

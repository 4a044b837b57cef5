"""Random changes to nested content of dicts, lists and plain values, such as a state or a checkpoint."""

import base64
import copy
import math
import random
from collections.abc import Iterator
from typing import Any

import torch

WRONG = (None, True, False, 0, 1, -1, 2**31, 2**63, -(2**70), 0.5, math.nan, math.inf, "", "x", [], {}, [[]], {"x": 1})


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything inside: keys and positions."""
    inside = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in inside:
        yield (*path, key)
        yield from places(value, (*path, key))


def mutated(rng: random.Random, content: Any) -> tuple[str, Any]:
    """Change one thing in content.

    Returns:
        What was done, in words, and the changed copy.
    """
    content = copy.deepcopy(content)
    path = rng.choice([*places(content)])
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    key, way = path[-1], rng.choice(["drop", "add", "other", "near", "near"])
    if way == "drop":
        del parent[key]
    elif way == "add" and isinstance(parent, dict):
        parent[rng.choice(["", "x", 3, f"{key}_"])] = rng.choice(WRONG)
    elif way == "add":
        parent.insert(rng.randrange(len(parent) + 1), rng.choice(WRONG))
    elif way == "near":
        parent[key] = _near(rng, parent[key])
    else:
        parent[key] = rng.choice(WRONG)
    return f"{way} {'/'.join(map(str, path))}", content


def _near(rng: random.Random, value: Any) -> Any:
    """A value like another one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice([value + 1, value - 1, -value, value * 2, value + 10**9, float(value), str(value)])
    if isinstance(value, float):
        return rng.choice([value + 1, -value, value * 1e300, math.nan])
    if isinstance(value, str) and value:
        return _near_text(rng, value)
    if isinstance(value, torch.Tensor):
        flat = value.reshape(-1)
        return rng.choice(
            [flat[:-1], value[None], value.double(), value.to(torch.int32), value.to_sparse(), value.tolist()]
        )
    if isinstance(value, tuple):
        return rng.choice([value[:-1], (*value, 0), list(value), tuple(map(str, value))])
    if isinstance(value, dict | list):
        return rng.choice([[value], {"x": value}, str(value), [], {}])
    return rng.choice(WRONG)


def _near_text(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text))
    changed = [text[:at], text + "0", text[:at] + rng.choice("0A=\n\x00é\udcff9") + text[at + 1 :], text.lower()]
    try:
        inside = bytearray(base64.b64decode(text, validate=True))
    except ValueError:
        return rng.choice(changed)
    flipped = inside.copy()
    flipped[rng.randrange(len(inside))] ^= 1 << rng.randrange(8)
    cut = inside[: rng.randrange(len(inside))]
    return rng.choice([*changed, *(base64.b64encode(content).decode() for content in [flipped, flipped, flipped, cut])])

"""Refusal of damaged checkpoints, which DALI takes without a word: it hangs on some and shuffles in another order."""

import json
import re
from typing import NamedTuple

from dali_cutmix._dali.pipeline_checkpoint import entries, operator_state, place_of_reader
from dali_cutmix.utils import fields

MOST = 2**62
"""Limit of all numbers in a state; DALI's have 64 bits."""
_PHILOX = re.compile(rb"Philox_[0-9A-F]{16}_[0-9A-F]{16}:[0-9A-F]{16}_[0-3]")
_SEED = re.compile(rb"[0-9]{1,10}")


class Place(NamedTuple):
    """Where a checkpoint has to stand, as far as that is known."""

    samples: int
    """The most samples that a reader may have read of its epoch."""
    reader: tuple[str, int | None, int] | None = None
    """A reader's name, its epoch (None for any) and the samples that it has read of it."""
    iteration: int | None = None
    """Number of the next batch that sources of ``fn.external_source`` are asked for."""


def check_checkpoint(checkpoint: bytes, own: bytes, place: Place) -> None:
    """Refuse a checkpoint whose operators' states are not of the kind that the graph's have, or stand elsewhere.

    Operators that one of them lacks are left to DALI, which refuses them.

    Args:
        checkpoint: one for this graph, see :func:`~dali_cutmix._dali.pipeline_checkpoint.localized`.
        own: any checkpoint of the graph, from DALI.
        place: where the checkpoint has to stand.

    Raises:
        ValueError: the checkpoint is damaged; the message names the operator.
    """
    here = dict(entries(own))
    for name, entry in entries(checkpoint):
        if name is None:
            _check_pipeline(entry, here[None], place.iteration)
        elif name in here:
            _check_operator(name, operator_state(entry), operator_state(here[name]), place)


def _check_operator(name: str, state: bytes, own: bytes, place: Place) -> None:
    reader = place_of_reader(own)
    if _PHILOX.fullmatch(own):
        fits = _PHILOX.fullmatch(state) is not None
    elif reader and _SEED.fullmatch(reader[0]):
        fits = _is_at(place_of_reader(state), name, place)
    else:
        fits = bool(state) == bool(own)
    if not fits:
        raise ValueError(f"the state of operator {name!r} is none that it can have here")


def _is_at(reader: tuple[bytes, int, int] | None, name: str, place: Place) -> bool:
    """Whether the state of a reader is one that it may have."""
    if not (reader and _SEED.fullmatch(reader[0]) and reader[1] < MOST and reader[2] <= place.samples):
        return False
    known = place.reader
    return known is None or known[0] != name or known[1:] in (reader[1:], (None, reader[2]))


def _check_pipeline(entry: bytes, own: bytes, iteration: int | None) -> None:
    """Refuse a pipeline's own entry that is not DALI's: JSON with the number of batches so far."""
    [(_, mine)], [(_, theirs)] = fields(memoryview(own)), fields(memoryview(entry))
    known, rest = {n: bytes(part) for n, part in fields(mine)}, {n: bytes(part) for n, part in fields(theirs)}
    expected, found = json.loads(known.pop(1)), _as_dict(rest.pop(1, b""))
    number = found.pop("iter", None)
    known_number = iteration is None or number == iteration
    if type(number) is not int or not (0 <= number < MOST and known_number):
        raise ValueError("the number of batches so far is none that it can have")
    del expected["iter"]
    if (found, rest) != (expected, known):
        raise ValueError("the entry of the pipeline itself is not DALI's")


def _as_dict(text: bytes) -> dict[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("the entry of the pipeline itself is not JSON") from error
    return found if isinstance(found, dict) else {}

"""Fault: what is wrong with a sample that cannot be used."""

from typing import Literal, NamedTuple

Kind = Literal["damaged", "not supported", "missing"]


class Fault(NamedTuple):
    """What is wrong with a sample.

    Args:
        kind: ``"damaged"``: its bytes were read and cannot be decoded. ``"not supported"``: a format that this library
            does not decode, or an image that is too large. ``"missing"``: its file cannot be read.
        reason: what exactly, in words.
    """

    kind: Kind
    reason: str

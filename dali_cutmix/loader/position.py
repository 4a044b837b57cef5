"""Position: a place in the endless sequence of batches, and the pass over the loader that it belongs to."""

from typing import NamedTuple


class Pass(NamedTuple):
    """One pass over a loader.

    Args:
        number: how many passes came before it, or what ``set_epoch`` said.
        first: number of its first batch, counted over all epochs.
    """

    number: int
    first: int


class Position(NamedTuple):
    """A place between two batches.

    Args:
        epoch, batch: after so many batches of this epoch of the data.
        checkpoint: of the pipeline there; empty for its start.
        current: the pass that has come this far.
    """

    epoch: int
    batch: int
    checkpoint: bytes
    current: Pass

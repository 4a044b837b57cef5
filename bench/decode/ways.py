"""The ways to decode that ``python -m bench decode`` measures."""

from dataclasses import dataclass
from typing import Literal

LOADS = (0.65, 0.0, 1.0, 0.9, 0.8)
"""The hardware decoder's shares of a batch, the most informative first, as time may not suffice for all of them."""

FileKind = Literal["as they are", "restart markers", "half the pixels"]


@dataclass(frozen=True)
class DecodeWay:
    """One way to decode: whole images or random regions, how chroma is upsampled, the hardware decoder's share.

    ``load`` is that share of a batch, None on a CPU; ``files`` says whether the JPEG files are rewritten before.

    Example:
        >>> DecodeWay(region=False, fancy=True, load=0.65).name
        'whole, fancy, 0.65'
    """

    region: bool
    fancy: bool
    load: float | None
    files: FileKind = "as they are"

    @property
    def name(self) -> str:
        """A short name for tables."""
        words = ["region" if self.region else "whole", "fancy" if self.fancy else "plain"]
        words += [] if self.load is None else [f"{self.load:g}"]
        words += [] if self.files == "as they are" else [self.files]
        return ", ".join(words)


def all_ways(
    on_gpu: bool, only: tuple[str, ...] = (), loads: tuple[float, ...] = LOADS, rewritten: bool = False
) -> list[DecodeWay]:
    """List the ways to measure, the most valuable first.

    Args:
        on_gpu: vary the hardware decoder's share.
        only: ``whole`` or ``region``; both by default.
        loads: the hardware decoder's shares of a batch.
        rewritten: also decode whole images from rewritten files.
    """
    shares: tuple[float | None, ...] = loads if on_gpu else (None,)
    # Fancy upsampling, which this library's loader uses, comes before plain upsampling.
    found = [DecodeWay(region, fancy, load) for load in shares for fancy in (True, False) for region in (False, True)]
    if rewritten:
        kinds: tuple[FileKind, ...] = ("restart markers", "half the pixels")
        # After the ways of the first three shares; rewritten files are decoded with the first and the third of these.
        found[12:12] = [DecodeWay(False, True, load, files) for load in shares[:3:2] for files in kinds]
    return [way for way in found if not only or ("region" if way.region else "whole") in only]

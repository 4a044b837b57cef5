"""The ways in which ``python -m bench decode`` has photographs decoded."""

from dataclasses import dataclass
from typing import Literal

LOADS = (0.65, 0.0, 1.0, 0.9, 0.8)
"""Shares for the hardware decoder, the most telling first: what runs out of time is cut off at the end."""

Files = Literal["as they are", "restart markers", "half the pixels"]


@dataclass(frozen=True)
class Way:
    """Whole images or random regions, how chroma is upsampled, the hardware decoder's share (None on a CPU)."""

    region: bool
    fancy: bool
    load: float | None
    files: Files = "as they are"

    @property
    def name(self) -> str:
        """Short, for tables."""
        words = ["region" if self.region else "whole", "fancy" if self.fancy else "plain"]
        words += [] if self.load is None else [f"{self.load:g}"]
        words += [] if self.files == "as they are" else [self.files]
        return ", ".join(words)


def all_ways(
    on_gpu: bool, only: tuple[str, ...] = (), loads: tuple[float, ...] = LOADS, rewritten: bool = False
) -> list[Way]:
    """All ways, the most valuable first.

    Args:
        on_gpu: with the shares for the hardware decoder, else without.
        only: ``whole`` or ``region``; both by default.
        loads: shares for the hardware decoder.
        rewritten: also whole images from files that were rewritten.
    """
    shares: tuple[float | None, ...] = loads if on_gpu else (None,)
    # What this library's loader asks for comes before what it could ask for: fancy upsampling.
    found = [Way(region, fancy, load) for load in shares for fancy in (True, False) for region in (False, True)]
    if rewritten:
        kinds: tuple[Files, ...] = ("restart markers", "half the pixels")
        # After three shares, of which they take the first and the last.
        found[12:12] = [Way(False, True, load, files) for load in shares[:3:2] for files in kinds]
    return [way for way in found if not only or ("region" if way.region else "whole") in only]

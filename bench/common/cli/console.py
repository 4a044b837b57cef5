"""Lines that several commands print: what was measured where, and whether other work disturbed it."""

from typing import Any

from rich.console import Console

BUSY = 0.1
"""Cores used by others from which on a measurement is called disturbed."""


def warn_of_disturbance(elsewhere: list[float], console: Console) -> None:
    """Say in how many measurements others used more than ``BUSY`` cores; nothing where that is none."""
    if disturbed := sum(cores > BUSY for cores in elsewhere):
        console.print(
            f"[yellow]{disturbed} of {len(elsewhere)} measurements were disturbed: other work used up to "
            f"{max(elsewhere):.1f} cores meanwhile. Take these figures again on a quiet machine.[/yellow]"
        )


def headline(result: dict[str, Any]) -> str:
    """What was measured where, in one line."""
    machine, settings = result["machine"], result["settings"]
    where = machine["gpu"] or machine["cpu"]
    return (
        f"{where}, {settings['threads']} threads; {settings['images']:,} JPEGs, crop {settings['size']}, "
        f"batch {settings['batch_size']}; {settings['rounds']} × {settings['seconds']:g} s"
    )

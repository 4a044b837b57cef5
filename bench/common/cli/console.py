"""Lines that several commands print: what was measured where, and whether other work disturbed it."""

from typing import Any

from rich.console import Console

DISTURBED = 0.1
"""Cores used by other processes above which a measurement counts as disturbed."""


def warn_of_disturbance(cores_elsewhere: list[float], console: Console) -> None:
    """Print how many measurements other processes disturbed by using more than ``DISTURBED`` cores, if any."""
    if disturbed := sum(cores > DISTURBED for cores in cores_elsewhere):
        console.print(
            f"[yellow]{disturbed} of {len(cores_elsewhere)} measurements were disturbed: other work used up to "
            f"{max(cores_elsewhere):.1f} cores meanwhile. Take these figures again on a quiet machine.[/yellow]"
        )


def headline(result: dict[str, Any]) -> str:
    """Describe the machine and the settings of a result in one line."""
    machine, settings = result["machine"], result["settings"]
    device = machine["gpu"] or machine["cpu"]
    return (
        f"{device}, {settings['threads']} threads; {settings['images']:,} JPEGs, crop {settings['size']}, "
        f"batch {settings['batch_size']}; {settings['rounds']} × {settings['seconds']:g} s"
    )

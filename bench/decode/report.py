"""The result of ``python -m bench decode`` as a table."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dali_cutmix.utils import LINES, printable

FAR = 5.0
"""Difference from the CPU's pixels, in levels of 255, above which an image is wrong; upsampling causes less."""


def print_table(result: dict[str, Any], console: Console) -> None:
    """Print rates with their spread, CPU time, what decoded, the library, failures, and ways that were left out."""
    settings, machine = result["settings"], result["machine"]
    on_gpu = machine["gpu"] is not None
    console.print(
        f"{machine['gpu'] or machine['cpu']}, {settings['threads']} threads; {settings['images']:,} JPEGs of "
        f"{settings['mean_file_bytes'] / 1000:.0f} kB on average, batch {settings['batch_size']}",
        highlight=False,
    )
    nvjpeg = result["nvjpeg"]
    library = f"{nvjpeg['version']} ({nvjpeg['file']})" if nvjpeg else "none loaded"
    engines = result["engines"]
    hardware = f"; JPEG engines: {engines[0]}, cores of each: {engines[1]}" if engines else ""
    console.print(f"nvJPEG: {escape(library)}{hardware}", highlight=False)
    table = Table()
    # On a CPU nothing else can have decoded, and there is nothing to compare with.
    more = ("hardware", "CUDA", "CPU", "levels from the CPU's") if on_gpu else ()
    for name in ("way", "images/s", "min to max", "core-ms/image", *more):
        table.add_column(name, justify="left" if name == "way" else "right", no_wrap=True)
    for entry in sorted(result["ways"], key=lambda entry: (entry["files"], entry["region"], not entry["fancy"])):
        if entry["failure"]:
            table.add_row(entry["name"], "failed")
            continue
        table.add_row(
            entry["name"],
            f"{entry['images_per_second']:,.0f}",
            f"{entry['min']:,.0f} to {entry['max']:,.0f}",
            f"{entry['core_ms_per_image']:.2f}",
            *(_on_gpu(entry) if on_gpu else ()),
        )
    console.print(table)
    for entry in result["ways"]:
        if entry["failure"]:
            console.print(
                f"[red]failed: {entry['name']}: {escape(printable(entry['failure'], keep=LINES))}[/red]",
                highlight=False,
            )
        elif (entry["levels_from_cpu"] or 0) > FAR:
            console.print(
                f"[yellow]{entry['name']}: pixels are far from the CPU's, so its rate means nothing.[/yellow]"
            )
    if on_gpu and any(entry["decoded_by"]["cpu"] for entry in result["ways"] if not entry["failure"]):
        console.print("[yellow]Where the CPU decoded, nvJPEG had refused the images: see its version.[/yellow]")
    if result["left_out"]:
        console.print(f"[dim]not measured for want of time: {'; '.join(result['left_out'])}[/dim]")


def _on_gpu(entry: dict[str, Any]) -> list[str]:
    decoded_by, levels = entry["decoded_by"], entry["levels_from_cpu"]
    shares = [f"{decoded_by[by] / (sum(decoded_by.values()) or 1):.0%}" for by in ("hardware", "cuda", "cpu")]
    return [*shares, "other windows" if levels is None else f"{levels:.2f}"]

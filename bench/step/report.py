"""The result of ``python -m bench step``: its numbers, its table, and what these mean."""

from dataclasses import asdict
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.common.cli import warn_of_disturbance
from bench.step.rounds import SOURCES
from bench.step.step_timing import StepTiming

ON_A_GPU = (
    "Gap on the device: share of the time between the end of one step and the start of the next on the training "
    "stream, by events. There the device waits for data, or finishes a batch on that stream; on synthetic data the gap "
    "is what launching the steps leaves idle. In next(): the host's time there, an upper bound of what the device "
    "waits, since it still has steps to work on meanwhile. What the ratio loses beyond the gap is work of the loader "
    "beside the steps, on the device and on the host."
)
ON_A_CPU = (
    "Here the loader and the model compete for the same cores: the ratio tells what decoding takes away from the "
    "model, also where next() waits for nothing. It says nothing about a GPU, where the model computes elsewhere."
)


def summary(measured: dict[str, list[StepTiming]]) -> dict[str, Any]:
    """Summarize both sources by median and spread, and the ratio of their rates in each round."""
    ratios = [
        loader.images_per_second / synthetic.images_per_second
        for loader, synthetic in zip(measured["loader"], measured["synthetic"], strict=True)
    ]
    return {
        "sources": [_source(name, label, measured[name]) for name, label in SOURCES.items()],
        "ratio": {"median": median(ratios), "min": min(ratios), "max": max(ratios), "rounds": ratios},
    }


def _source(name: str, label: str, each: list[StepTiming]) -> dict[str, Any]:
    speeds = [one.images_per_second for one in each]
    gaps = [one.device_gap for one in each if one.device_gap is not None]
    return {
        "name": name,
        "label": label,
        "images_per_second": median(speeds),
        "min": min(speeds),
        "max": max(speeds),
        "host_wait": median(one.host_wait for one in each),
        "device_gap": median(gaps) if gaps else None,
        "rounds": [asdict(one) for one in each],
    }


def print_table(result: dict[str, Any], console: Console) -> None:
    """Print both rates, the waiting times, the ratio, and what these mean on this device."""
    settings, ratio = result["settings"], result["ratio"]
    console.print(_headline(result))
    table = Table()
    on_gpu = settings["device"] != "cpu"
    for name in ("training on", "images/s", "min to max", "in next()", *(["gap on the device"] if on_gpu else [])):
        table.add_column(name, justify="left" if name == "training on" else "right", no_wrap=True)
    for entry in result["sources"]:
        table.add_row(
            entry["label"],
            f"{entry['images_per_second']:,.4g}",
            f"{entry['min']:,.4g} to {entry['max']:,.4g}",
            f"{entry['host_wait']:.1%}",
            *([f"{entry['device_gap']:.1%}"] if on_gpu else []),
        )
    console.print(table)
    if settings["rounds"] == 1:
        spread = "one round, so the spread is unknown"
    else:
        spread = f"{ratio['min']:.3f} to {ratio['max']:.3f} over {settings['rounds']} rounds"
    console.print(f"With the loader the model trains at {ratio['median']:.3f} of its own speed ({spread}).")
    console.print(f"[dim]{ON_A_GPU if on_gpu else ON_A_CPU}[/dim]")
    warn_of_disturbance([one["cores_elsewhere"] for entry in result["sources"] for one in entry["rounds"]], console)


def _headline(result: dict[str, Any]) -> str:
    machine, settings = result["machine"], result["settings"]
    how = ["bfloat16 autocast" if settings["amp"] else "float32"]
    how += [name for name in ("channels_last", "compile") if settings[name]]
    steps = result["sources"][0]["rounds"][0]["steps"]
    return (
        f"{machine['gpu'] or machine['cpu']}; {settings['model']}, {', '.join(how)}, crop {settings['size']}, batch "
        f"{settings['batch_size']}; {settings['images']:,} JPEGs, {settings['threads']} threads; "
        f"{settings['rounds']} × {steps} steps"
    )

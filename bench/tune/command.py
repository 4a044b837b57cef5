"""``python -m bench tune``: measure the loader's arguments on this machine and data, and print the fastest."""

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from bench.common.cli import (
    check_minimum,
    check_minutes,
    check_seconds,
    choose_device,
    headline,
    new_result,
    open_enough_photos,
    usable_cores,
    warn_of_disturbance,
    write_json,
)
from bench.loaders.comparison import TimeBudget, measure_in_rounds, settings_for, shared_settings
from bench.loaders.contenders import Contender, Settings
from bench.tune.candidates import candidates
from bench.tune.search import Arguments, Decision, MeasuredValue, compare, search
from dali_cutmix.utils import LINES, printable

NO_TIME = "not tried for lack of time"
CONFIRMED = 2
"""Loaders that are measured at the end: one with the values found, one with the defaults."""


def tune(
    data: Path | None = None,
    size: int = 224,
    batch_size: int = 256,
    seconds: float = 3.0,
    rounds: int = 5,
    minutes: float = 0.0,
    device: str = "auto",
    only: tuple[Literal["num_threads", "hw_decoder_load", "preallocate", "prefetch"], ...] = (),
    json: Path | None = None,
) -> int:
    """Measure settings of this library's loader and print the arguments of ``imagenet.train`` to use.

    One setting is tried at a time, with the best values of those before it; the values of one setting are measured in
    turn, round by round. A default stays unless another value is better by 1 % and by more than the spread of the
    measurements. The values found are measured once more against the defaults, and dropped unless that confirms them.

    Each value takes about twenty seconds with the default options: two to three minutes on a CPU, twice that on a GPU.
    The loader runs alone and in one process. For several processes on a machine, run this under ``taskset -c`` with the
    cores of one of them.

    Args:
        data: folder with one subfolder of JPEG files for each class; without it, files made from scikit-learn's sample
            photographs: 4:2:0, on a GPU some 4:4:4 and gray.
        size: side of the crop in pixels.
        batch_size: images in a batch.
        seconds: length of one measurement.
        rounds: measurements of each value, at least 3: their spread decides.
        minutes: time limit of the whole command; 0 means no limit. Values that are expected to take longer, judging by
            those before them, are not tried; time for the last measurement is reserved.
        device: cpu, cuda:N, or auto (cuda:0 where there is one).
        only: settings to try; by default all that have an effect on the device.
        json: file for the result, written again after each setting; ``complete`` is false until the end.

    Returns:
        0, or 1 where the loader failed with its defaults.
    """
    check_minimum(1, size=size)
    check_minimum(2, batch_size=batch_size)
    check_minimum(3, rounds=rounds)
    check_seconds(seconds)
    check_minutes(minutes)
    device = choose_device(device)
    photos = open_enough_photos(batch_size, data, device)
    chosen = candidates(photos, device, usable_cores())
    if without_effect := [name for name in only if name not in [setting.name for setting in chosen]]:
        raise ValueError(
            f"--only {' '.join(without_effect)} given; it has no effect on a CPU: leave it out, or measure a GPU."
        )
    chosen = [setting for setting in chosen if not only or setting.name in only]
    settings = settings_for(photos, size=size, batch_size=batch_size, threads=0, device=device)
    measurer = _Measurer(settings, seconds, rounds, TimeBudget(minutes, seconds, rounds, reserved=CONFIRMED))
    result = new_result("tune", device, shared_settings(settings, photos, seconds, rounds) | {"minutes": minutes})
    result |= {"complete": False, "confirmation": None, "arguments": {}}
    decisions: list[Decision] = []
    try:
        for decision in search(chosen, measurer):
            decisions.append(decision)
            result |= {"measured": [_as_json(each) for each in decisions], "failed": measurer.failed}
            if json:
                write_json(json, result)
        found = {entry.setting.name: entry.chosen for entry in decisions if entry.chosen != entry.setting.default}
        confirmed = compare([{}, found], measurer.measure([{}, found]))[1] if found else None
    except RuntimeError as error:
        print(f"error: {printable(error, keep=LINES)}; see above.", file=sys.stderr)
        return 1
    arguments = found if confirmed and confirmed.better else {}
    call = _call(data, batch_size, size, device, arguments)
    result |= {
        "complete": True,
        "confirmation": confirmed and {"arguments": found, **_entry(confirmed)},
        "failed": measurer.failed,
        "arguments": arguments,
        "call": call,
    }
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(headline(result))
    _print(decisions, confirmed, console)
    warn_of_disturbance(measurer.cores_elsewhere, console)
    print(f"\nfrom pipelines import imagenet\n\nloader = {call}")
    if json:
        write_json(json, result)
    return 0


class _Measurer:
    """Measures sets of arguments, each in a process of its own; collects failures and disturbances."""

    def __init__(self, settings: Settings, seconds: float, rounds: int, budget: TimeBudget) -> None:
        self._settings, self._seconds, self._rounds, self._budget = settings, seconds, rounds, budget
        self.failed: list[dict[str, str]] = []
        self.cores_elsewhere: list[float] = []

    def __call__(self, tried: Sequence[Arguments]) -> list[list[float] | None]:
        """Measure as many sets as there is time for, but none if there is not time for two."""
        return self.measure(tried, self._budget) if self._budget.allows(2) else [[] for _ in tried]

    def measure(self, tried: Sequence[Arguments], budget: TimeBudget | None = None) -> list[list[float] | None]:
        """Return the images/s of every round; an empty list for lack of time, None for a failure."""
        contenders = [
            Contender(
                str(number),
                ", ".join(f"{name}={value}" for name, value in arguments.items()) or "defaults",
                "ours:cutmix",
                ("nvidia.dali",),
                mixes=True,
                arguments=tuple(arguments.items()),
            )
            for number, arguments in enumerate(tried)
        ]
        rows, failed = measure_in_rounds(contenders, self._settings, self._seconds, self._rounds, budget)
        self.failed += [{"label": entry["label"], "reason": entry["reason"]} for entry in failed]
        self.cores_elsewhere += [part["cores_elsewhere"] for row in rows for part in row["rounds"]]
        rates: dict[str, list[float] | None] = {entry["name"]: None for entry in failed}
        rates |= {row["name"]: [part["images_per_second"] for part in row["rounds"]] for row in rows}
        return [rates.get(contender.name, []) for contender in contenders]


def _call(data: Path | None, batch_size: int, size: int, device: str, arguments: Arguments) -> str:
    given = {"batch_size": batch_size, "size": size, "device": device, **arguments}
    root = repr(str(data)) if data else "root"
    return f"imagenet.train({root}, {', '.join(f'{name}={value!r}' for name, value in given.items())})"


def _entry(measured: MeasuredValue) -> dict[str, Any]:
    rates = measured.rates
    return {
        "outcome": "measured" if rates else "failed" if measured.tried else NO_TIME,
        "images_per_second": median(rates) if rates else None,
        "gain": measured.gain if rates else None,
        "spread": measured.spread if rates else None,
        "rounds": rates,
    }


def _as_json(decision: Decision) -> dict[str, Any]:
    return {
        "setting": decision.setting.name,
        "default": decision.setting.default,
        "chosen": decision.chosen,
        "values": [{"value": entry.value, **_entry(entry)} for entry in decision.measured],
    }


def _print(decisions: list[Decision], confirmed: MeasuredValue | None, console: Console) -> None:
    table = Table()
    for name in ("setting", "value", "images/s", "of the default", "spread", ""):
        table.add_column(name, justify="left" if name in ("setting", "") else "right", no_wrap=True)
    for decision in decisions:
        for entry in decision.measured:
            is_default = entry is decision.measured[0]
            name = decision.setting.name if is_default else ""
            remark = "default" if is_default else ""
            if entry.value == decision.chosen:
                remark = "default, kept" if is_default else "better"
            if not entry.rates:
                table.add_row(name, str(entry.value), "failed" if entry.tried else NO_TIME, "", "", "")
                continue
            ratio = ("", "") if is_default else (f"{1 + entry.gain:.3f}", f"{entry.spread:.3f}")
            table.add_row(name, str(entry.value), f"{median(entry.rates):,.0f}", *ratio, remark)
        table.add_section()
    console.print(table)
    for decision in decisions:
        untried = [str(entry.value) for entry in decision.measured if not entry.tried]
        if len(untried) == len(decision.measured):
            console.print(f"{decision.setting.name}: {NO_TIME}, keep the default.")
            continue
        if decision.chosen == decision.setting.default:
            console.print(f"{decision.setting.name}: no value is measurably better, keep the default.")
        if untried:
            console.print(f"{decision.setting.name}: {NO_TIME}: {', '.join(untried)}.")
    if confirmed is None:
        return
    if confirmed.rates is None:
        console.print("The settings found failed when measured once more, so the defaults stay.")
    else:
        verdict = "" if confirmed.better else ", which is not measurable: the defaults stay"
        console.print(
            f"All settings found, measured once more: {1 + confirmed.gain:.3f} of the defaults (spread "
            f"{confirmed.spread:.3f}){verdict}."
        )

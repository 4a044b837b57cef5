"""``python -m bench tune``: the loader's settings for this machine and these data, measured."""

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from bench.arguments import check_least, check_seconds, choose_device, cores, open_for, settings_for
from bench.candidates import candidates
from bench.contenders import Contender, Settings
from bench.report import headline, warn_of_disturbance
from bench.result import new_result, shared_settings, write_json
from bench.rounds import measure_in_rounds
from bench.search import Arguments, Decision, Measured, compare, search


def tune(
    data: Path | None = None,
    size: int = 224,
    batch_size: int = 256,
    seconds: float = 3.0,
    rounds: int = 5,
    device: str = "auto",
    only: tuple[Literal["num_threads", "hw_decoder_load", "preallocate", "prefetch"], ...] = (),
    json: Path | None = None,
) -> int:
    """Measure settings of this library's loader and print the arguments of ``imagenet.train`` to use.

    One setting is tried at a time, with the best of those before it; the values of one setting are measured in turn,
    round by round. A default stays unless another value is better by 1 % and by more than the spread of the
    measurements. What was found is measured once more against the defaults, and given up if that does not confirm it.

    Each value takes about twenty seconds with the default options: two to three minutes on a CPU, twice that on a GPU.
    The loader runs alone and in one process. For several processes on a machine, run this under ``taskset -c`` with the
    cores that one of them gets.

    Args:
        data: folder with one subfolder of JPEG files for each class; without it, files made from scikit-learn's sample
            photographs.
        size: side of the crop in pixels.
        batch_size: images in a batch.
        seconds: length of one measurement.
        rounds: measurements of each value, at least 3: their spread decides.
        device: cpu, cuda:N, or auto (cuda:0 where there is one).
        only: which settings to try; all that mean something on the device by default.
        json: write the result there.

    Returns:
        0, or 1 where the loader failed with its defaults.
    """
    check_least(1, size=size)
    check_least(2, batch_size=batch_size)
    check_least(3, rounds=rounds)
    check_seconds(seconds)
    device = choose_device(device)
    photos = open_for(batch_size, data)
    chosen = candidates(photos, device, cores())
    if unfit := [name for name in only if name not in [setting.name for setting in chosen]]:
        raise ValueError(f"--only {' '.join(unfit)} given; it means nothing on a CPU: leave it out, or measure a GPU.")
    chosen = [setting for setting in chosen if not only or setting.name in only]
    settings = settings_for(photos, size=size, batch_size=batch_size, threads=0, device=device)
    bench = _Bench(settings, seconds, rounds)
    try:
        decisions = search(chosen, bench)
        found = {entry.setting.name: entry.chosen for entry in decisions if entry.chosen != entry.setting.default}
        confirmed = compare([{}, found], bench([{}, found]))[1] if found else None
    except RuntimeError as error:
        print(f"error: {error}; see above.", file=sys.stderr)
        return 1
    arguments = found if confirmed and confirmed.better else {}
    call = _call(data, batch_size, size, device, arguments)
    result = new_result("tune", device, shared_settings(settings, photos, seconds, rounds))
    result |= {
        "measured": [_as_json(decision) for decision in decisions],
        "confirmation": confirmed and {"arguments": found, **_entry(confirmed)},
        "failed": bench.failed,
        "arguments": arguments,
        "call": call,
    }
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(headline(result))
    _print(decisions, confirmed, console)
    warn_of_disturbance(bench.cores_elsewhere, console)
    print(f"\nfrom pipelines import imagenet\n\nloader = {call}")
    if json:
        write_json(json, result)
    return 0


class _Bench:
    """Measures sets of arguments, each in a process of its own; keeps what failed and what disturbed."""

    def __init__(self, settings: Settings, seconds: float, rounds: int) -> None:
        self._settings, self._seconds, self._rounds = settings, seconds, rounds
        self.failed: list[dict[str, str]] = []
        self.cores_elsewhere: list[float] = []

    def __call__(self, tried: Sequence[Arguments]) -> list[list[float] | None]:
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
        rows, failed = measure_in_rounds(contenders, self._settings, self._seconds, self._rounds)
        self.failed += [{"label": entry["label"], "reason": entry["reason"]} for entry in failed]
        self.cores_elsewhere += [part["cores_elsewhere"] for row in rows for part in row["rounds"]]
        rates = {row["name"]: [part["images_per_second"] for part in row["rounds"]] for row in rows}
        return [rates.get(contender.name) for contender in contenders]


def _call(data: Path | None, batch_size: int, size: int, device: str, arguments: Arguments) -> str:
    given = {"batch_size": batch_size, "size": size, "device": device, **arguments}
    root = repr(str(data)) if data else "root"
    return f"imagenet.train({root}, {', '.join(f'{name}={value!r}' for name, value in given.items())})"


def _entry(measured: Measured) -> dict[str, Any]:
    rates = measured.rates
    return {
        "images_per_second": rates and median(rates),
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


def _print(decisions: list[Decision], confirmed: Measured | None, console: Console) -> None:
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
            if entry.rates is None:
                table.add_row(name, str(entry.value), "failed", "", "", "")
                continue
            ratio = ("", "") if is_default else (f"{1 + entry.gain:.3f}", f"{entry.spread:.3f}")
            table.add_row(name, str(entry.value), f"{median(entry.rates):,.0f}", *ratio, remark)
        table.add_section()
    console.print(table)
    for decision in decisions:
        if decision.chosen == decision.setting.default:
            console.print(f"{decision.setting.name}: no value is measurably better, keep the default.")
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

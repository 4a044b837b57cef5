"""Coordinate search: one setting at a time, and a default stays unless another value is measurably better."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

LEAST_GAIN = 0.01
"""A gain of less is not worth another value than the default, however well it was measured."""

Arguments = dict[str, Any]
Measure = Callable[[Sequence[Arguments]], Sequence[list[float] | None]]
"""Takes sets of arguments, gives for each the images/s of every round, interleaved.

None for one that failed, nothing in the list for one that was not tried, for lack of time.
"""


@dataclass(frozen=True)
class Setting:
    """An argument of the loader, and the values to try beside its default."""

    name: str
    default: Any
    others: tuple[Any, ...]


@dataclass(frozen=True)
class Measured:
    """One value, compared round by round with the default.

    ``gain`` is the median over the rounds of the ratio of the two rates, minus 1; ``spread`` the largest such ratio
    minus the smallest. A drift of the machine is in both rates of a round, and not in their ratio.
    """

    value: Any
    rates: list[float] | None
    gain: float = 0.0
    spread: float = 0.0

    @property
    def tried(self) -> bool:
        """Whether there was time to measure it; it may have failed."""
        return self.rates != []

    @property
    def better(self) -> bool:
        """By more than the spread of the measurements, and by enough to matter."""
        return bool(self.rates) and self.gain > max(self.spread, LEAST_GAIN)


@dataclass(frozen=True)
class Decision:
    """What was measured of one setting, its default first, and the value to use."""

    setting: Setting
    measured: list[Measured]
    chosen: Any


def compare(values: Sequence[Any], rates: Sequence[list[float] | None]) -> list[Measured]:
    """Each value against the first one.

    Raises:
        RuntimeError: the first one failed.
    """
    first = rates[0]
    if first is None:
        raise RuntimeError("the defaults could not be measured")
    compared = [Measured(values[0], first)]
    for value, each in zip(values[1:], rates[1:], strict=True):
        if not each:
            compared.append(Measured(value, each))
            continue
        ratios = [rate / base for rate, base in zip(each, first, strict=True)]
        compared.append(Measured(value, each, median(ratios) - 1, max(ratios) - min(ratios)))
    return compared


def search(settings: Sequence[Setting], measure: Measure) -> Iterator[Decision]:
    """Try the values of each setting in turn, with the best of the settings before it; each decision as it is made.

    Raises:
        RuntimeError: the defaults could not be measured.
    """
    best: Arguments = {setting.name: setting.default for setting in settings}
    for setting in settings:
        values = (setting.default, *setting.others)
        compared = compare(values, measure([best | {setting.name: value} for value in values]))
        better = [entry for entry in compared if entry.better]
        chosen = max(better, key=lambda entry: entry.gain).value if better else setting.default
        best[setting.name] = chosen
        yield Decision(setting, compared, chosen)

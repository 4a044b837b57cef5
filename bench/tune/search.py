"""Coordinate search: one argument at a time; a default stays unless another value is measurably faster."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

LEAST_GAIN = 0.01
"""A smaller gain is not worth a value other than the default, however precisely it was measured."""

Arguments = dict[str, Any]
Measure = Callable[[Sequence[Arguments]], Sequence[list[float] | None]]
"""Measures sets of arguments side by side, and returns for each the images/s of every round.

The result is None for a set that failed, and an empty list for one that was not tried for lack of time.
"""


@dataclass(frozen=True)
class Tunable:
    """An argument of the loader, and the values to try besides its default."""

    name: str
    default: Any
    others: tuple[Any, ...]


@dataclass(frozen=True)
class MeasuredValue:
    """One value, compared round by round with the default.

    ``gain`` is the median over the rounds of the ratio of the two rates, minus 1; ``spread`` is the largest such ratio
    minus the smallest. A drift of the machine affects both rates of a round, but not their ratio.
    """

    value: Any
    rates: list[float] | None
    gain: float = 0.0
    spread: float = 0.0

    @property
    def tried(self) -> bool:
        """Whether there was time to measure the value; the measurement may have failed."""
        return self.rates != []

    @property
    def better(self) -> bool:
        """Whether the gain exceeds both the spread of the measurements and ``LEAST_GAIN``."""
        return bool(self.rates) and self.gain > max(self.spread, LEAST_GAIN)


@dataclass(frozen=True)
class Decision:
    """The measured values of one argument, its default first, and the value to use."""

    setting: Tunable
    measured: list[MeasuredValue]
    chosen: Any


def compare(values: Sequence[Any], rates: Sequence[list[float] | None]) -> list[MeasuredValue]:
    """Compare each value with the first one.

    Raises:
        RuntimeError: the first one failed.

    Example:
        >>> default, two = compare([1, 2], [[100.0, 110.0, 100.0], [120.0, 132.0, 122.0]])
        >>> f"{two.gain:.2f} {two.spread:.2f} {two.better}"
        '0.20 0.02 True'
    """
    first = rates[0]
    if first is None:
        raise RuntimeError("the defaults could not be measured")
    compared = [MeasuredValue(values[0], first)]
    for value, each in zip(values[1:], rates[1:], strict=True):
        if not each:
            compared.append(MeasuredValue(value, each))
            continue
        ratios = [rate / base for rate, base in zip(each, first, strict=True)]
        compared.append(MeasuredValue(value, each, median(ratios) - 1, max(ratios) - min(ratios)))
    return compared


def search(settings: Sequence[Tunable], measure: Measure) -> Iterator[Decision]:
    """Try the values of one argument after the other, with the best values of those before it; yield each decision.

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

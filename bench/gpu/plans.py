"""What a step of ``python -m bench gpu`` has time for: which ways to decode, how many measurements, and how long."""

from dataclasses import dataclass

from bench.decode import LOADS, all_ways

PLANNED = 0.85
"""Share of a time limit that is planned for; the rest is a reserve."""
DECODE_IMPORTS, DECODE_OVERHEAD = 10.0, 3.0
"""Seconds for the imports of as many processes as there are cores, and for a way besides its measurement."""
LOADER_START, LOADER_OVERHEAD = 9.0, 0.7
"""Seconds until a loader has started and warmed up, and for a turn besides its measurement."""


@dataclass(frozen=True)
class MeasurementPlan:
    """What a step has time for: seconds and rounds of its measurements; for the decoder also which ways.

    ``planned`` is the time in seconds that this takes.
    """

    planned: float
    seconds: float
    rounds: int = 1
    loads: tuple[float, ...] = ()
    rewritten: bool = False


def decode_plan(budget: float, on_gpu: bool, processors: int) -> MeasurementPlan:
    """Plan as many ways as there is time for, then longer measurements; the shortest plan if there is time for none."""
    # Rewritten files come after three shares, as in the list of ways.
    counts = (
        [(5, True), (4, True), (3, True), (3, False), (2, False), (1, False)] if on_gpu else [(1, True), (1, False)]
    )
    plans = []
    for count, rewritten in counts:
        loads = LOADS[:count]
        number = len(all_ways(on_gpu, loads=loads, rewritten=rewritten))
        overhead = -(-number // processors) * DECODE_IMPORTS + number * DECODE_OVERHEAD
        plans += [
            MeasurementPlan(overhead + number * seconds, seconds, loads=loads, rewritten=rewritten)
            for seconds in (2.0, 1.5, 1.0)
        ]
    return next((plan for plan in plans if plan.planned <= PLANNED * budget), plans[-1])


def loaders_plan(budget: float, processes: int) -> MeasurementPlan:
    """Plan the most and longest measurements for which there is time."""
    choices = [(2.0, 3), (1.5, 3), (1.0, 3), (1.0, 2), (0.5, 2), (0.5, 1)]
    plans = [
        MeasurementPlan(processes * (LOADER_START + rounds * (seconds + LOADER_OVERHEAD)), seconds, rounds)
        for seconds, rounds in choices
    ]
    return next((plan for plan in plans if plan.planned <= PLANNED * budget), plans[-1])

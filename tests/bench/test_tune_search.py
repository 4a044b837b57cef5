"""The search of python -m bench tune: the best value of one setting after the other, if it beats the spread."""

import itertools

import pytest

from bench.tune.search import Tunable, compare, search

THREADS = Tunable("num_threads", 2, (1, 3, 4))
PREFETCH = Tunable("prefetch", 2, (1, 4))
STEADY = (1.0, 1.0, 1.0)


def machine(speed, drift=STEADY, asked=None):
    """Measures as a machine would whose speed depends on the arguments; ``drift`` is a factor for each round."""

    def measure(tried):
        if asked is not None:
            asked.extend(tried)
        speeds = [speed(**arguments) for arguments in tried]
        return [None if each is None else [each * factor for factor in drift] for each in speeds]

    return measure


def search_all(settings, measure):
    return list(search(settings, measure))


def test_the_best_value_is_found_and_kept_while_the_next_setting_is_searched():
    asked = []
    speed = {1: 60.0, 2: 100.0, 3: 120.0, 4: 110.0}
    found = search_all(
        [THREADS, PREFETCH],
        machine(lambda num_threads, prefetch: speed[num_threads] * (1.05 if prefetch == 4 else 1), asked=asked),
    )
    assert [entry.chosen for entry in found] == [3, 4]
    assert [arguments["num_threads"] for arguments in asked] == [2, 1, 3, 4, 3, 3, 3]
    assert [arguments["prefetch"] for arguments in asked] == [2, 2, 2, 2, 2, 1, 4]


def test_a_difference_below_the_spread_keeps_the_default():
    [default, noisy] = compare([2, 3], [[100.0, 100.0, 100.0], [98.0, 104.0, 103.0]])
    assert not default.better
    assert noisy.gain == pytest.approx(0.03)
    assert noisy.spread == pytest.approx(0.06)
    assert not noisy.better
    noise = itertools.cycle([0.97, 1.03, 1.0, 1.04, 0.98, 1.01, 0.96])

    def measure(tried):
        return [[100 * next(noise) for _ in range(5)] for _ in tried]

    assert [entry.chosen for entry in search_all([THREADS, PREFETCH], measure)] == [2, 2]


def test_a_drift_of_the_machine_hides_no_difference():
    speed = {1: 60.0, 2: 100.0, 3: 104.0, 4: 90.0}
    [decision] = search_all([THREADS], machine(lambda num_threads: speed[num_threads], drift=(1.0, 0.7, 0.5)))
    assert decision.chosen == 3
    assert decision.measured[2].gain == pytest.approx(0.04)


def test_less_than_one_percent_is_not_worth_another_value():
    speed = {1: 60.0, 2: 100.0, 3: 100.8, 4: 100.9}
    assert search_all([THREADS], machine(lambda num_threads: speed[num_threads]))[0].chosen == 2


def test_a_value_that_fails_is_left_out():
    speed = {1: None, 2: 100.0, 3: None, 4: 120.0}
    [decision] = search_all([THREADS], machine(lambda num_threads: speed[num_threads]))
    assert decision.chosen == 4
    assert [entry.rates is None for entry in decision.measured] == [False, True, True, False]


def test_without_the_defaults_there_is_nothing_to_compare_with():
    with pytest.raises(RuntimeError, match="the defaults could not be measured"):
        search_all([THREADS], machine(lambda num_threads: None))

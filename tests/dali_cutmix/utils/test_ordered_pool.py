"""Work in several threads: results in order, a bounded number ahead, errors where they belong."""

import threading
import time

import pytest

from dali_cutmix.utils import in_order


def test_results_come_in_order_whoever_is_slow():
    def slow_first(number):
        time.sleep(0.1 if number == 0 else 0)
        return number, threading.get_ident()

    results = list(in_order(slow_first, range(20), threads=3, ahead=6))
    assert [number for number, _ in results] == list(range(20))
    assert len({thread for _, thread in results}) == 3


def test_no_more_is_taken_than_results_are_wanted():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = in_order(str, items(), threads=2, ahead=5)
    assert [next(results) for _ in range(3)] == ["0", "1", "2"]
    assert len(taken) == 5 + 3
    results.close()


def test_an_error_comes_after_the_results_before_it():
    results = in_order(lambda number: 1 // (3 - number), range(9), threads=2, ahead=4)
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_nothing_gives_nothing():
    assert list(in_order(str, [], threads=2, ahead=4)) == []

"""Images per second and the share of waiting, by a clock that the test controls."""

import sys

import pytest

from train.engine import progress
from train.engine.progress import Stopwatch, progress_bar


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress.time, "perf_counter", clock)
    return clock


def epoch(clock, watch, batches, load, step):
    """Run through an epoch whose batches take ``load`` seconds to come and ``step`` seconds to train on."""

    def loader():
        for number in range(batches):
            clock.now += load
            yield number

    for _ in watch.batches(loader()):
        clock.now += step
    return watch.read()


def test_speed_and_share_by_hand(clock):
    assert epoch(clock, Stopwatch(32, warmup=0), batches=4, load=1, step=3) == (32 / 4, 0.25)


def test_the_first_batches_of_the_run_do_not_count(clock):
    watch = Stopwatch(10, warmup=2)
    numbers = iter(range(6))

    def loader():
        for number in numbers:
            clock.now += 1
            yield number

    for number in watch.batches(loader()):
        clock.now += 100 if number < 2 else 1
    assert watch.read() == (10 / 2, 0.5)
    assert epoch(clock, watch, batches=4, load=1, step=4) == (10 / 5, 0.2)


def test_each_epoch_is_counted_alone(clock):
    watch = Stopwatch(10, warmup=0)
    epoch(clock, watch, batches=4, load=1, step=3)
    clock.now += 1000  # validation
    assert epoch(clock, watch, batches=4, load=1, step=0) == (10.0, 1.0)


@pytest.mark.parametrize("batches", [1, 4, 10])
def test_a_loop_that_breaks_off_in_its_last_batch_has_counted_it(clock, batches):
    """As the training loop does, which never asks for one batch too many."""
    watch = Stopwatch(10)
    for _ in range(2):
        for number in watch.batches(range(100)):
            clock.now += 2
            if number == batches - 1:
                break
        assert watch.read() == (10 / 2, 0.0)


@pytest.mark.parametrize(
    ("visible", "terminal", "shown"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_a_bar_is_for_the_first_process_on_a_terminal(monkeypatch, visible, terminal, shown):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    with progress_bar(10, 3, "epoch", visible) as bar:
        assert bar.disable != shown

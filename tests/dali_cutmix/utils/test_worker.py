"""Threads that work for a caller: in order, with the errors of the calls, and unharmed by any interrupt."""

import gc
import random
import time
import weakref
from contextlib import suppress

import pytest

from dali_cutmix._dali import pipeline_shutdown
from dali_cutmix.bad_samples import Patience
from dali_cutmix.utils import Worker, in_order
from tests.helpers.interrupts import Interrupt


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.stop()


def test_calls_are_made_in_order_and_return_or_raise(worker):
    made = []
    tasks = [worker.submit(lambda n=n: made.append(n) or 1 / n) for n in (2, 0, 4)]
    assert tasks[2].result() == 0.25
    assert tasks[0].result() == 0.5
    assert made == [2, 0, 4]
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            tasks[1].result()


def wait_for(condition):
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False


def repeat(action):
    while True:
        action()


def start(what):
    """An action to repeat, and what is to be stopped after it."""
    if what == "start":
        workers = [Worker()]

        def begin():
            workers.append(Worker())
            workers.pop().end()

        return begin, workers
    worker, patience = Worker(), Patience(60)

    def storage():
        patience.cancel()  # what an interrupt left waiting
        worker.submit(int).result()
        patience.reset()
        waiting = worker.submit(lambda: patience.wait("It is away."))
        patience.cancel()
        with suppress(InterruptedError):
            waiting.result()
        patience.reset()

    actions = {
        "submit": lambda: worker.submit(int).result(),
        "storage": storage,
        "pipelines": pipeline_shutdown._finish_shutdowns,
        "in order": lambda: list(in_order(abs, range(8), threads=2, ahead=4)),
    }
    return actions[what], [worker]


@pytest.mark.filterwarnings("ignore:It is away", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("what", ["start", "submit", "storage", "pipelines", "in order"])
def test_no_interrupt_leaves_a_lock_behind(what):
    draw = random.Random(0)
    action, workers = start(what)
    for _ in range(400):
        with Interrupt(draw.uniform(0, 5e-4)) as interrupt:
            repeat(action)
        assert interrupt.struck
        action()
    for worker in workers:
        worker.end()


class Owner:
    """Keeps the task that it submitted last, as a loader does."""

    def __init__(self, worker):
        self.task = worker.submit(self.work)

    def work(self):
        return None

    def fail(self):
        raise ValueError("bad")


def test_a_task_keeps_nothing_alive_that_it_needs_no_longer(worker):
    owner = Owner(worker)
    assert owner.task.result() is None
    gone = weakref.ref(owner)
    gc.disable()
    try:
        del owner
        assert wait_for(lambda: gone() is None)
    finally:
        gc.enable()


def test_nor_does_its_error(worker):
    owner = Owner(worker)
    owner.task = worker.submit(owner.fail)
    gone = weakref.ref(owner.task)
    gc.disable()
    try:
        with pytest.raises(ValueError, match="bad") as info:
            owner.task.result()
        del info, owner.task
        assert wait_for(lambda: gone() is None)
    finally:
        gc.enable()


def test_a_worker_that_was_stopped_does_what_it_took_and_takes_no_more():
    worker = Worker()
    task = worker.submit(lambda: time.sleep(0.1) or "done")
    worker.stop()
    with pytest.raises(RuntimeError, match="this thread takes no more work: its owner was collected, or"):
        worker.submit(int)
    worker.end()
    assert not worker.is_running
    assert task.result() == "done"

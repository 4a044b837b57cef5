"""The thread that prepares batches: in order, with the errors of its calls, and unharmed by any interrupt."""

import gc
import random
import subprocess
import sys
import threading
import time
import weakref

import pytest

from dali_cutmix._dali import pipeline_shutdown
from dali_cutmix.bad_samples import Patience
from dali_cutmix.loader.worker import Worker
from tests.helpers.interrupts import Interrupt


def test_calls_are_made_in_order_and_return_or_raise():
    worker, made = Worker("test"), []
    tasks = [worker.submit(lambda n=n: made.append(n) or 1 / n) for n in (2, 0, 4)]
    assert tasks[2].result() == 0.25
    assert tasks[0].result() == 0.5
    assert made == [2, 0, 4]
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            tasks[1].result()


def repeat(action):
    while True:
        action()


@pytest.mark.parametrize("what", ["worker", "storage", "pipelines"])
def test_no_interrupt_leaves_a_lock_behind(what):
    worker, patience, draw = Worker("test"), Patience(60), random.Random(0)
    action = {
        "worker": lambda: worker.submit(int).result(),
        "storage": lambda: (patience.cancel(), patience.reset()),
        "pipelines": pipeline_shutdown._finish_shutdowns,
    }[what]
    for _ in range(400):
        with Interrupt(draw.uniform(0, 5e-4)) as interrupt:
            repeat(action)
        assert interrupt.struck
    action()


def test_the_thread_ends_with_its_worker_which_it_does_not_keep_alive():
    class Owner:
        def __init__(self):
            self.worker = Worker("of an owner")
            self.worker.submit(self.work).result()

        def work(self):
            pass

    owner = Owner()
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None
    for _ in range(100):
        if not any(thread.name == "of an owner" for thread in threading.enumerate()):
            return
        time.sleep(0.05)
    raise AssertionError("its thread still runs")


PROGRAM = """
import atexit, time

def late():
    try:
        worker.submit(int)
    except RuntimeError as error:
        print(error)

atexit.register(late)  # the handler registered first runs last
from dali_cutmix.loader.worker import Worker

worker = Worker("test")
worker.submit(lambda: (time.sleep(0.5), print("done")))
"""


def test_at_exit_what_was_submitted_is_done_and_nothing_is_taken_any_more():
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "done\nLoader: the process is exiting; use loaders before its exit handlers run.\n"
    assert run.stderr == ""

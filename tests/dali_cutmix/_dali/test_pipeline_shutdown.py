"""Pipelines that are collected anywhere: none ends the process, and none lets another one wait."""

import ast
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
LOADERS = """
import gc, sys, time
import dali_cutmix as dc
from nvidia.dali import fn, pipeline_def

def allocate(label):
    for _ in range(10):
        time.sleep(0.0002)  # the consumer goes on
        containers = [[] for _ in range(10)]  # the collector comes
    return label

class Trainer:
    def __init__(self, folder):
        @pipeline_def(batch_size=4, num_threads=1, device_id=None)
        def graph():
            jpegs, labels = dc.read_folder(folder)
            labels = fn.python_function(labels, function=allocate)
            return dc.random_resized_crop(jpegs, 16), labels

        self.loader = dc.Loader(graph())
        self.step = self.train  # a cycle: only the garbage collector ends it

    def train(self):
        return next(iter(self.loader))

gc.collect()
gc.freeze()
gc.collect()  # what is left is little: each collection is a full one, and quick
gc.set_threshold(1, 1, 1)
for _ in range(int(sys.argv[2])):
    Trainer(sys.argv[1]).step()
    time.sleep(0.003)
print("all", sys.argv[2])
"""
COLLECTED_AT_EXIT = """
import atexit, gc, sys, threading, time
from nvidia.dali import fn, pipeline_def

gc.disable()
if sys.argv[2] == "after":
    atexit.register(gc.collect)  # the last registered is the first called
import dali_cutmix as dc
if sys.argv[2] == "before":
    atexit.register(gc.collect)

def work(label):
    for _ in range(100):
        time.sleep(0.001)
    return label

class Slow:
    def __del__(self):
        if sys.argv[2] == "meanwhile":
            time.sleep(60)

class Trainer:
    def __init__(self, folder):
        self.slow = Slow()  # finalized before the loader

        @pipeline_def(batch_size=4, num_threads=1, device_id=None)
        def graph():
            jpegs, labels = dc.read_folder(folder)
            labels = fn.python_function(labels, function=work)
            return dc.random_resized_crop(jpegs, 16), labels

        self.loader = dc.Loader(graph())
        self.step = self.train

    def train(self):
        return next(iter(self.loader))

Trainer(sys.argv[1]).step()
if sys.argv[2] == "meanwhile":
    threading.Thread(target=gc.collect, daemon=True).start()
    time.sleep(0.1)
print("trained")
"""
LIVE_AT_EXIT = """
import atexit, sys
from pathlib import Path

def print_threads():
    print(sorted(name for task in Path("/proc/self/task").iterdir() if is_dali(name := (task / "comm").read_text())))

def is_dali(name):
    return name.startswith(("[DALI]", "PrefetchWorker"))

atexit.register(print_threads)  # the first registered is the last called
from pipelines import imagenet
import dali_cutmix as dc

loader = imagenet.train(sys.argv[1], batch_size=4, size=16, mix=dc.CutMix(alpha=1.0), device="cpu", num_threads=2)
iterator = iter(loader)
next(iterator)
print_threads()
"""
BUILT_AT_EXIT = """
import sys, threading, time
import dali_cutmix as dc
from nvidia.dali import fn, pipeline_def

def work(label):
    for _ in range(20):
        time.sleep(0.001)
    return label

def build_for_ever():
    while True:
        @pipeline_def(batch_size=4, num_threads=2, device_id=None)
        def graph():
            jpegs, labels = dc.read_folder(sys.argv[1])
            labels = fn.python_function(labels, function=work)
            return dc.random_resized_crop(jpegs, 16), labels

        next(iter(dc.Loader(graph())))

threading.Thread(target=build_for_ever, daemon=True).start()
time.sleep(0.6)
"""
FAILING = """
import sys
import dali_cutmix as dc
from dali_cutmix._dali import pipeline_shutdown
from nvidia.dali import pipeline_def

class Lost:
    def Shutdown(self):
        raise RuntimeError("CUDA error 700")

class LostPipeline(pipeline_shutdown._QueuesShutdown):
    _pipe = Lost()

@pipeline_def(batch_size=4, num_threads=1, device_id=None)
def graph():
    jpegs, labels = dc.read_folder(sys.argv[1])
    return dc.random_resized_crop(jpegs, 16), labels

LostPipeline.__new__(LostPipeline)._shutdown()
print(len(next(iter(dc.Loader(graph())))))
"""


def run(program, *arguments, options=(), timeout=60):
    command = [sys.executable, *options, "-c", program, *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=timeout)


@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.slow)])
def test_loaders_in_reference_cycles_do_not_end_the_process(photo_folder, count):
    """The collector runs in a thread of a pipeline, too: it must not wait for itself."""
    done = run(LOADERS, photo_folder, count, timeout=30 + count)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"all {count}\n", "")


@pytest.mark.parametrize("when", ["before", "meanwhile", "after"])
def test_a_loader_that_is_collected_while_the_process_exits_does_not_crash_it(photo_folder, when):
    """Its pipeline is computing the next batch, before, while or after the library does its own work at exit."""
    done = run(COLLECTED_AT_EXIT, photo_folder, when)
    assert (done.returncode, done.stdout, done.stderr) == (0, "trained\n", "")


def test_a_daemon_thread_that_builds_loaders_while_the_process_exits_does_not_crash_it(photo_folder):
    """It stops where it would build the next. Four processes at once: each ends at another moment."""
    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda _: run(BUILT_AT_EXIT, photo_folder), range(4)))
    assert [done.returncode for done in ended] == [0] * 4


def test_no_thread_of_a_live_loader_is_left_when_the_interpreter_is_torn_down(photo_folder):
    done = run(LIVE_AT_EXIT, photo_folder)
    assert (done.returncode, done.stderr) == (0, "")
    before, at_exit = map(ast.literal_eval, done.stdout.splitlines())
    assert before > []
    assert at_exit == []


@pytest.mark.parametrize("options", [(), ("-W", "error")], ids=["warns", "warnings are errors"])
def test_a_pipeline_that_cannot_be_shut_down_lets_no_other_one_wait(photo_folder, options):
    done = run(FAILING, photo_folder, options=options)
    assert (done.returncode, done.stdout) == (0, "2\n")
    assert ("a pipeline could not be shut down: CUDA error 700" in done.stderr) == (not options)

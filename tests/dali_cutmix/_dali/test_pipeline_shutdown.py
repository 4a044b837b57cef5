"""Pipelines end with their loader or with the process: none ends the process, and none lets another one wait."""

import ast
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dali_cutmix._dali import start_worker

REPOSITORY = Path(__file__).parents[3]
LOADERS = """
import gc, sys, threading, time
import torch
import dali_cutmix as dc
from nvidia.dali import fn, pipeline_def

def work(label):
    for _ in range(100):
        time.sleep(0.001)
    return label

def make_loader(work=work, **options):
    @pipeline_def(batch_size=4, num_threads=1, device_id=None)
    def graph():
        jpegs, labels = dc.read_folder(sys.argv[1])
        labels = fn.python_function(labels, function=work)
        return dc.random_resized_crop(jpegs, 16), labels

    return dc.Loader(graph(), **options)

class Trainer:
    def __init__(self, work=work):
        self.loader = make_loader(work)
        self.step = self.train  # a cycle: only the garbage collector ends it

    def train(self):
        return next(iter(self.loader))
"""
COLLECTED = """
def allocate(label):
    for _ in range(10):
        time.sleep(0.0002)  # the consumer goes on
        containers = [[] for _ in range(10)]  # the collector comes
    return label

gc.collect()
gc.freeze()
gc.collect()  # what is left is little: each collection is a full one, and quick
gc.set_threshold(1, 1, 1)
for _ in range(int(sys.argv[2])):
    Trainer(allocate).step()
    time.sleep(0.003)
print("all", sys.argv[2])
"""
DESTROYED = """
from nvidia.dali import Pipeline
from pathlib import Path

class Own(Pipeline):
    def __del__(self):
        pass

counts = []
for _ in range(4):
    pipeline = Own(batch_size=4, num_threads=1, device_id=None)
    with pipeline:
        jpegs, labels = dc.read_folder(sys.argv[1])
        pipeline.set_outputs(dc.random_resized_crop(jpegs, 16), labels)
    next(iter(dc.Loader(pipeline)))
    del pipeline
    next(iter(make_loader()))  # by now the one before has been destroyed
    counts.append(len(list(Path("/proc/self/task").iterdir())))
assert len(set(counts)) == 1, counts
"""
# The handlers at exit that are registered last are called first: this one after DALI's, and before that of the library.
COLLECTED_AT_EXIT = """
import atexit, gc, nvidia.dali, sys

gc.disable()
if sys.argv[2] == "after":
    atexit.register(gc.collect)
{LOADERS}
if sys.argv[2] == "before":
    atexit.register(gc.collect)

class Slow:
    def __del__(self):
        if sys.argv[2] == "meanwhile":
            time.sleep(60)

slow = Slow()  # finalized before the loader
trainer = Trainer()
trainer.slow, slow.trainer = slow, trainer
trainer.step()
del slow, trainer
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
BUILT_BY_DAEMON = """
def build_for_ever():
    while True:
        next(iter(make_loader()))

threading.Thread(target=build_for_ever, daemon=True).start()
time.sleep(0.6)
"""
BUILT_AT_EXIT = """
import atexit, nvidia.dali, sys

@atexit.register
def late():
    try:
        make_loader()
    except RuntimeError as error:
        print(error)
{LOADERS}
loader = make_loader()
next(iter(loader))
"""
INTERRUPTED = """
import atexit, nvidia.dali, sys

atexit.register(lambda: print("exited"))
{LOADERS}
calls = 0

def stop_working(label):
    global calls
    calls += 1
    if calls > 4:
        time.sleep(2)
    return label

loader = make_loader(stop_working)
next(iter(loader))
atexit.register(lambda: print("exiting", flush=True))
"""
STARTED_AT_EXIT = """
import atexit, time

@atexit.register  # the first registered is the last called
def late():
    try:
        start_worker(late)
    except RuntimeError as error:
        print(error)

from dali_cutmix._dali import start_worker

worker = start_worker(late)
worker.submit(lambda: (time.sleep(0.5), print("done")))
"""
ENDLESS_AT_EXIT = """
import atexit, nvidia.dali, queue, sys

atexit.register(lambda: print("exited"))
{LOADERS}
calls = 0

def finish(images, labels):
    global calls
    calls += 1
    if calls > 1:
        queue.SimpleQueue().get()
    return (torch.zeros(4),)

next(iter(make_loader(finish=finish)))
atexit.register(lambda: print("exiting", flush=True))
"""
BUILT_WITH_THREADS_AT_EXIT = """
import atexit, sys

def late():
    end = time.monotonic() + 5
    while (left := sum(user.is_running for user in list(pipeline_shutdown._users))) and time.monotonic() < end:
        time.sleep(0.05)  # one that was refused ends a moment later
    print("left", left)

atexit.register(late)
from dali_cutmix._dali import pipeline_shutdown
{LOADERS}

def finish(images, labels):
    time.sleep(1)
    return (torch.zeros(4),)

def build_for_ever():
    while True:
        kept.append(make_loader(work=lambda label: label, finish=finish))
        next(iter(kept[-1]))

kept = [make_loader(finish=finish)]
next(iter(kept[0]))  # its thread prepares the next batch for 1 s
for _ in range(3):
    threading.Thread(target=build_for_ever, daemon=True).start()
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

if len(sys.argv) > 2:
    sys.stderr.close()
LostPipeline.__new__(LostPipeline)._shutdown()
print(len(next(iter(dc.Loader(graph())))))
"""


def run(program, *arguments, options=(), timeout=60):
    program = program.replace("{LOADERS}", LOADERS)
    command = [sys.executable, *options, "-c", program, *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=timeout)


@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.slow)])
def test_loaders_in_reference_cycles_do_not_end_the_process(photo_folder, count):
    """The collector runs in a thread of a pipeline, too: it must not wait for itself."""
    done = run(LOADERS + COLLECTED, photo_folder, count, timeout=30 + count)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"all {count}\n", "")


def test_a_pipeline_class_with_its_own_destructor_leaves_no_threads(photo_folder):
    done = run(LOADERS + DESTROYED, photo_folder)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("when", ["before", "meanwhile", "after"])
def test_a_loader_that_is_collected_while_the_process_exits_does_not_crash_it(photo_folder, when):
    """Its pipeline is computing the next batch, before, while or after the library does its own work at exit."""
    done = run(COLLECTED_AT_EXIT, photo_folder, when)
    assert (done.returncode, done.stdout, done.stderr) == (0, "trained\n", "")


def test_a_daemon_thread_that_builds_loaders_while_the_process_exits_does_not_crash_it(photo_folder):
    """It stops where it would build the next. Four processes at once: each ends at another moment."""
    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda _: run(LOADERS + BUILT_BY_DAEMON, photo_folder), range(4)))
    assert [done.returncode for done in ended] == [0] * 4


def test_no_thread_of_a_live_loader_is_left_when_the_interpreter_is_torn_down(photo_folder):
    done = run(LIVE_AT_EXIT, photo_folder)
    assert (done.returncode, done.stderr) == (0, "")
    before, at_exit = map(ast.literal_eval, done.stdout.splitlines())
    assert before > []
    assert at_exit == []


def test_a_loader_that_is_built_by_a_late_handler_at_exit_is_refused(photo_folder):
    """Nobody would shut it down any more."""
    done = run(BUILT_AT_EXIT, photo_folder)
    said = "Loader: the process is exiting; build and use loaders before its exit handlers run.\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


def interrupt_exit(program, photo_folder, times):
    """Send Ctrl-C to a program that exits, and is still there 0.3 s later."""
    program = "import signal; signal.signal(2, signal.default_int_handler)\n" + program.replace("{LOADERS}", LOADERS)
    command = [sys.executable, "-c", program, str(photo_folder)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout.readline() == "exiting\n"
        for _ in range(times):
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.3)
            process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=30)
    assert (process.returncode, said, errors) == (0, "exited\n", "")


def test_ctrl_c_while_the_process_exits_does_not_crash_it(photo_folder):
    """It waits for the function that a pipeline calls, and other handlers at exit run, too."""
    interrupt_exit(INTERRUPTED, photo_folder, times=3)


def test_ctrl_c_ends_the_waiting_for_a_batch_that_never_comes(photo_folder):
    interrupt_exit(ENDLESS_AT_EXIT, photo_folder, times=1)


def test_threads_that_run_pipelines_end_before_the_pipelines_do(photo_folder):
    """Also those of loaders that daemon threads build meanwhile."""
    done = run(BUILT_WITH_THREADS_AT_EXIT, photo_folder)
    assert (done.returncode, done.stdout) == (0, "left 0\n"), done.stderr


def test_a_thread_that_runs_pipelines_ends_once_its_owner_is_collected():
    class Owner:
        def __init__(self):
            self.worker = start_worker(self)

    owner = Owner()
    worker = owner.worker
    assert worker.submit(lambda: 1).result() == 1
    assert worker.is_running
    del owner
    with pytest.raises(RuntimeError, match="its owner was collected"):
        worker.submit(int)
    worker.end()
    assert not worker.is_running


def test_a_thread_at_exit_does_what_it_took_and_no_more_are_started():
    done = run(STARTED_AT_EXIT)
    said = "done\nLoader: the process is exiting; build and use loaders before its exit handlers run.\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


@pytest.mark.parametrize("options", [(), ("-W", "error")], ids=["warns", "warnings are errors"])
def test_a_pipeline_that_cannot_be_shut_down_lets_no_other_one_wait(photo_folder, options):
    done = run(FAILING, photo_folder, options=options)
    assert (done.returncode, done.stdout) == (0, "2\n")
    assert ("a pipeline could not be shut down: CUDA error 700" in done.stderr) == (not options)


def test_a_warning_that_cannot_be_printed_lets_no_pipeline_wait(photo_folder):
    assert run(FAILING, photo_folder, "closed").stdout == "2\n"

"""Work in child processes: results in order, whatever crashes or hangs; what did it is known, and nobody is left."""

import os
import signal
import subprocess
import sys
import time

import pytest

from dali_cutmix.utils import Crash, map_in_children
from tests.helpers import ROOT, tally
from tests.helpers.processes import are_gone

GROUPS = [range(start, min(start + 7, 100)) for start in range(0, 100, 7)]


def run(function, groups=GROUPS, *, workers=3, timeout=30.0):
    return list(map_in_children(function, groups, workers=workers, timeout=timeout, ahead=8))


def doubled(items):
    return [2 * item for item in items]


def test_results_come_in_order():
    assert [x for outcome in run(doubled) for x in outcome.results] == [2 * i for i in range(100)]
    assert run(doubled, []) == []


def killed_by(number):
    """Work whose process is ended by a signal at 30, 31 and 99."""

    def work(items):
        for item in items:
            if item in (30, 31, 99):
                os.kill(os.getpid(), number)
        return doubled(items)

    return work


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGSEGV, "SIGSEGV"),
        (signal.SIGABRT, "SIGABRT"),
        (40, "signal 40"),
        (signal.SIGKILL, "SIGKILL, most likely because memory ran out; fewer workers need less"),
    ],
)
def test_what_crashes_is_known_and_all_others_are_done(number, reason):
    outcomes = run(killed_by(number))
    found = {item: result for outcome in outcomes for item, result in zip(outcome.items, outcome.results, strict=True)}
    crashed = {item: result for item, result in found.items() if isinstance(result, Crash)}
    assert crashed == dict.fromkeys((30, 31, 99), Crash(reason))
    assert found == {i: crashed.get(i, 2 * i) for i in range(100)}
    assert [outcome.crash is not None for outcome in outcomes] == [28 in group or 99 in group for group in GROUPS]
    tally.count("kills", 3)


def test_a_process_that_ends_itself_is_a_crash():
    def work(items):
        if 5 in items:
            os._exit(3)
        return items

    assert run(work, [[4, 5]])[0].results == [4, Crash("it ended its process with status 3")]


def test_out_of_memory_is_a_crash():
    def work(items):
        if 5 in items:
            raise MemoryError
        return items

    assert run(work, [[4, 5], [6]])[0].results == [4, Crash("memory ran out")]


def test_what_hangs_is_ended():
    def work(items):
        if 5 in items:
            time.sleep(600)
        return items

    outcomes = run(work, [[4, 5], [6]], timeout=0.5)
    assert outcomes[0].results == [4, Crash("not done after 0.5 s", is_hang=True)]
    assert outcomes[1].results == [6]


def test_a_crash_of_several_together_is_known_too():
    def work(items):
        if len(items) > 1:
            os.abort()
        return items

    assert run(work, [[4, 5]]) == [([4, 5], [4, 5], Crash("SIGABRT"))]


def test_an_exception_is_raised_with_its_traceback():
    def work(items):
        raise KeyError("this one")

    with pytest.raises(RuntimeError, match=r"in a child process:[\s\S]*in work[\s\S]*KeyError: 'this one'"):
        run(work)


def test_few_groups_are_taken_ahead():
    taken = []

    def groups():
        for i in range(50):
            taken.append(i)
            yield [i]

    for done, _ in enumerate(map_in_children(doubled, groups(), workers=2, timeout=30, ahead=8), 1):
        assert len(taken) <= done + 8


def test_nothing_that_they_print_reaches_the_terminal(capfd):
    def work(items):
        print("noise", flush=True)
        os.write(2, b"noise of a library\n")
        os.abort()

    run(work, [[1]])
    assert capfd.readouterr() == ("", "")


ENDLESS = """
import time
from dali_cutmix.utils import map_in_children

def work(items):
    print_pid(items)
    time.sleep(600)
    return items

def print_pid(items):
    import os
    with open(f"{folder}/{os.getpid()}", "w"):
        pass

import sys
folder = sys.argv[1]
for _ in map_in_children(work, [[i] for i in range(9)], workers=3, timeout=600, ahead=9):
    pass
"""


def test_they_end_with_their_parent(tmp_path):
    command = [sys.executable, "-c", ENDLESS, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as parent:
        until = time.monotonic() + 60
        while len(list(tmp_path.iterdir())) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        parent.kill()
        parent.wait(30)
    pids = [int(path.name) for path in tmp_path.iterdir()]
    assert len(pids) == 3
    assert are_gone(pids)

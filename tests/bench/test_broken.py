"""A loader that is installed but broken is left out with its reason, whatever is wrong with it, and nothing is left."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from bench.__main__ import main
from bench.loaders import command, contenders
from bench.loaders.comparison import budget, rounds
from bench.loaders.process import contender_process
from bench.loaders.process.child import Throughput
from bench.loaders.process.contender_process import ContenderError, ContenderProcess
from bench.loaders.process.output import MOST_SHOWN
from tests.helpers import fake_contenders
from tests.helpers.fake_contenders import SlowImport, fake, settings
from tests.helpers.processes import are_gone, is_running

pytestmark = pytest.mark.usefixtures("small_cache")

SMALL = ["--size", "8", "--batch-size", "4", "--threads", "1", "--device", "cpu"]


def pids(folder, name):
    return [int(line) for line in (folder / f"{name}.pids").read_text().split()]


BROKEN = {
    "raises": "EOFError: the file ends too early",
    "exits": "SystemExit: cannot go on",
    "ends": "it came to an end",
    "spams": "no batch for 1 s; it printed: RuntimeError: libavutil.so.61: cannot open shared object file",
    "hangs": "no batch for 1 s",
    "crashes": "its process ended: SIGSEGV; it printed: about to read address 0",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_loader_ends_with_its_reason_and_so_do_its_workers(name, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(contender_process, "CHECK_INTERVAL", 0.1)
    with pytest.raises(ContenderError) as error:
        ContenderProcess(fake(name), settings(tmp_path), silence=1.0)
    assert BROKEN[name] in error.value.reason
    assert "\n" not in error.value.reason
    found = pids(tmp_path, name)
    assert len(found) == (2 if name in ("hangs", "crashes") else 1)
    assert are_gone(found)
    assert len(capfd.readouterr().err.splitlines()) <= MOST_SHOWN + 1


def test_the_others_are_measured_and_the_broken_ones_named(data, tmp_path, monkeypatch, capfd):
    """One never gives a batch, one gives no more in the second round; both are ended at once, not at the end."""
    monkeypatch.setattr(contender_process, "CHECK_INTERVAL", 0.1)
    chosen = (fake("good"), fake("spams"), fake("falls_silent"))
    monkeypatch.setattr(command, "CONTENDERS", chosen)
    monkeypatch.setattr("bench.loaders.comparison.settings.cache_folder", lambda: tmp_path)
    out = tmp_path / "r.json"
    only = ["--only", *(contender.name for contender in chosen)]
    took = ["--seconds", "0.3", "--rounds", "2", "--silence", "1"]
    assert main(["loaders", "--data", str(data), *SMALL, *took, "--json", str(out), *only]) == 1
    result = json.loads(out.read_text())
    [good] = result["contenders"]
    assert (good["name"], len(good["rounds"])) == ("good", 2)
    reasons = {entry["name"]: entry["reason"] for entry in result["skipped"]}
    assert list(reasons) == ["spams", "falls_silent"]
    assert reasons["spams"].startswith("failed: no batch for 1 s; it printed: RuntimeError: libavutil")
    assert reasons["falls_silent"] == "failed: no batch for 1 s"
    printed, errors = capfd.readouterr()
    rows = [line for line in printed.splitlines() if line.startswith("│")]
    assert [("failed" in row, "Loader" in row) for row in rows] == [(False, True), (True, True), (True, True)]
    assert "not measured: Loader falls_silent: failed: no batch for 1 s" in printed
    assert len(errors.splitlines()) < 150
    assert are_gone([pid for contender in chosen for pid in pids(tmp_path, contender.name)])


def test_alone_a_broken_loader_still_makes_a_table(data, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(command, "CONTENDERS", (fake("raises"),))
    monkeypatch.setattr("bench.loaders.comparison.settings.cache_folder", lambda: tmp_path)
    assert main(["loaders", "--data", str(data), *SMALL, "--only", "raises"]) == 1
    printed = capfd.readouterr().out
    assert "│ Loader raises │" in printed
    assert "not measured: Loader raises: failed: EOFError: the file ends too early" in printed


def test_a_process_that_dies_between_its_turns_is_named(tmp_path):
    running = ContenderProcess(fake("good"), settings(tmp_path))
    os.kill(running.group, signal.SIGKILL)
    assert are_gone([running.group])
    with pytest.raises(ContenderError, match="its process ended: SIGKILL"):
        running.measure(0.1)


def test_who_is_slow_but_gives_batches_is_not_ended(tmp_path, monkeypatch):
    """A warm-up far longer than the limit, each batch within it."""
    monkeypatch.setattr(contender_process, "CHECK_INTERVAL", 0.05)
    running = ContenderProcess(fake("good", arguments=(("pause", 0.08),)), settings(tmp_path), silence=0.6)
    try:
        assert running.measure(0.3).batches >= 3
    finally:
        running.close()


def test_who_copies_the_data_first_may_take_longer_for_its_first_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(contender_process, "CHECK_INTERVAL", 0.05)
    slow = fake("good", arguments=(("before", 1.0),))
    ContenderProcess(replace(slow, copies_data=True), settings(tmp_path), silence=0.5).close()
    with pytest.raises(ContenderError, match=r"no batch for 0\.5 s"):
        ContenderProcess(slow, settings(tmp_path), silence=0.5)


def test_imports_have_a_limit_of_their_own(tmp_path, monkeypatch):
    """Longer than the silence, and no hour: also where the data are copied first, once that can begin."""
    monkeypatch.setattr(contender_process, "CHECK_INTERVAL", 0.05)
    slow = SlowImport("slow", "Slow", "good", (), mixes=False)
    ContenderProcess(slow, settings(tmp_path), silence=0.5).close()
    monkeypatch.setattr(contender_process, "IMPORTS", 0.3)
    with pytest.raises(ContenderError, match=r"no imports within 0\.3 s"):
        ContenderProcess(slow, settings(tmp_path), silence=0.5)


@pytest.mark.parametrize(
    ("copies", "batch_size", "imported", "began", "seconds"),
    [
        (False, 256, False, False, 120),
        (False, 256, True, False, 15),
        (False, 600, True, True, 15),
        (False, 2400, True, True, 60),
        (True, 256, True, False, 3600),
        (True, 256, True, True, 15),
    ],
)
def test_what_a_contender_is_allowed(copies, batch_size, imported, began, seconds):
    """Large batches have more time, and the first one more where the data are copied before."""
    assert contender_process.time_limit(fake("good", copies_data=copies), batch_size, 15, imported, began) == seconds


def test_a_process_that_cannot_be_ended_is_left(tmp_path, monkeypatch):
    """One that waits in a driver takes no signal; neither a call nor the end of the interpreter waits for it."""
    monkeypatch.setattr(contender_process, "KILLED", 0.2)
    running = ContenderProcess(fake("good"), settings(tmp_path))
    kill = os.killpg
    with monkeypatch.context() as patch:
        patch.setattr(os, "killpg", lambda *_: None)
        patch.setattr(running._process, "kill", lambda: None)
        os.kill(running.group, signal.SIGSTOP)
        start = time.monotonic()
        running.close(grace=0)
        assert time.monotonic() - start < 3
        assert is_running(running.group)
        assert running._process not in multiprocessing.active_children()
    kill(running.group, signal.SIGKILL)


def run_fakes(monkeypatch, tmp_path, data, names, *options):
    monkeypatch.setattr(command, "CONTENDERS", tuple(fake("good", name) for name in ("a", "b", "c")))
    monkeypatch.setattr("bench.loaders.comparison.settings.cache_folder", lambda: tmp_path)
    out = tmp_path / "r.json"
    took = ["--seconds", "0.05", "--rounds", "3", "--json", str(out), "--only", *names]
    return main(["loaders", "--data", str(data), *SMALL, *took, *options]), out


class Started:
    """A runner without a process; ``log`` holds what was done in which order."""

    log: ClassVar[list] = []
    now = 0.0
    delivers: ClassVar[dict] = {}
    group = 0

    def __init__(self, contender, settings, silence):
        self.contender = contender
        self.log.append(f"start {contender.name}")
        Started.now += 10

    def measure(self, seconds):
        self.log.append(self.contender.name)
        Started.now += 2
        return Throughput(100.0, 10, seconds, 0.1, 0.0)

    def close(self):
        self.log.append(f"close {self.contender.name}")


@pytest.fixture
def started(monkeypatch):
    monkeypatch.setattr(rounds, "ContenderProcess", Started)
    monkeypatch.setattr(Started, "log", [])
    monkeypatch.setattr(Started, "now", 0.0)
    monkeypatch.setattr(rounds, "wait_until_quiet", lambda *_, **__: True)
    clock = SimpleNamespace(monotonic=lambda: Started.now)
    monkeypatch.setattr(rounds, "time", clock)
    monkeypatch.setattr(budget, "time", clock)
    return Started


def test_loaders_are_started_and_measured_in_the_order_given(data, tmp_path, monkeypatch, started):
    status, out = run_fakes(monkeypatch, tmp_path, data, ["c", "a", "b"])
    assert status == 0
    assert started.log[:6] == ["start c", "start a", "start b", "c", "a", "b"]
    assert [row["name"] for row in json.loads(out.read_text())["contenders"]] == ["c", "a", "b"]


def test_what_was_measured_before_an_interrupt_is_kept(data, tmp_path, monkeypatch, started):
    def interrupted(self, seconds):
        if started.log.count("a") == 2:  # and b's turn was first in the second round
            os.kill(os.getpid(), signal.SIGTERM)
        return measure(self, seconds)

    measure = started.measure
    monkeypatch.setattr(started, "measure", interrupted)
    status, out = run_fakes(monkeypatch, tmp_path, data, ["a", "b"])
    assert status == 130
    result = json.loads(out.read_text())
    assert result["complete"] is False
    assert [(row["name"], len(row["rounds"])) for row in result["contenders"]] == [("a", 2), ("b", 2)]
    assert started.log[-2:] == ["close b", "close a"]
    monkeypatch.setattr(started, "measure", measure)
    status, out = run_fakes(monkeypatch, tmp_path, data, ["a", "b"])
    assert json.loads(out.read_text())["complete"] is True


def test_loaders_for_which_there_is_no_time_are_not_started_and_named(data, tmp_path, monkeypatch, started, capsys):
    """A start takes 10 s and a turn 2 s: 36 s are enough for two loaders and three rounds."""
    status, out = run_fakes(monkeypatch, tmp_path, data, ["a", "b", "c"], "--minutes", "0.6")
    result = json.loads(out.read_text())
    assert (status, started.now) == (0, 32)
    assert [(row["name"], len(row["rounds"])) for row in result["contenders"]] == [("a", 3), ("b", 3)]
    assert [(entry["name"], entry["reason"]) for entry in result["skipped"]] == [("c", command.NO_TIME)]
    assert "not measured: Loader c: not started for lack of time" in capsys.readouterr().out


def test_no_round_is_begun_that_would_not_end_in_time(data, tmp_path, monkeypatch, started):
    def slow(self, seconds):
        started.now += 10
        return Throughput(100.0, 10, seconds, 0.1, 0.0)

    monkeypatch.setattr(started, "measure", slow)
    _, out = run_fakes(monkeypatch, tmp_path, data, ["a", "b"], "--minutes", "0.8")
    result = json.loads(out.read_text())
    assert started.now <= 48
    assert [len(row["rounds"]) for row in result["contenders"]] == [1, 1]


def test_a_minute_is_what_a_loader_has_for_its_next_batch():
    assert contender_process.SILENCE == 60
    assert contender_process.PREPARATION >= 1800


def test_nothing_goes_on_when_the_benchmark_is_killed(tmp_path):
    """As ``timeout -s KILL`` does it, in the midst of a loader's endless start."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from bench.loaders.process.contender_process import ContenderProcess\n"
        "from tests.helpers.fake_contenders import fake, settings\n"
        "if __name__ == '__main__': ContenderProcess(fake('spams'), settings(Path(sys.argv[2])))\n"
    )
    script = tmp_path / "benchmark.py"
    script.write_text(code)
    here = Path(fake_contenders.__file__).parents[2]
    started = subprocess.Popen(
        [sys.executable, str(script), str(here), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(here)},
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60
    while not (tmp_path / "spams.pids").exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.2)
    found = pids(tmp_path, "spams")
    assert is_running(found[0])
    started.kill()
    started.wait()
    assert are_gone(found)


def test_a_package_is_looked_for_without_importing_it(tmp_path, monkeypatch):
    """One that cannot be imported is there, and is tried; one that is not there is missing."""
    (tmp_path / "broken_rival" / "inner").mkdir(parents=True)
    (tmp_path / "broken_rival" / "__init__.py").write_text("raise OSError('libfoo.so.1: no such file')")
    (tmp_path / "broken_rival" / "inner" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = ("broken_rival", "broken_rival.inner", "broken_rival.no_such", "json.decoder", "json.decoder.x", "sys")
    needs = contenders.Contender("x", "X", "x:x", modules, mixes=False)
    assert needs.missing() == ["broken_rival.no_such", "json.decoder.x"]
    assert "broken_rival" not in sys.modules

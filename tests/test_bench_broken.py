"""A loader that is installed but broken is left out with its reason, whatever is wrong with it, and nothing is left."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import fake_contenders
import pytest
from bench_fixtures import cache_fixture, data_fixture  # noqa: F401
from fake_contenders import fake

from bench import contenders, loaders, runner
from bench.__main__ import main
from bench.contenders import Settings
from bench.output import MOST_SHOWN
from bench.runner import ContenderError, Runner

SMALL = ["--size", "8", "--batch-size", "4", "--threads", "1", "--device", "cpu"]


def settings(cache):
    return Settings(Path(), 100, 3, 8, batch_size=4, threads=1, device="cpu", cache=cache)


def pids(folder, name):
    return [int(line) for line in (folder / f"{name}.pids").read_text().split()]


def is_alive(pid):
    """A zombie is not; whoever is init here may be slow to collect what was left to it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def are_gone(pids, within=5.0):
    end = time.monotonic() + within
    while any(map(is_alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(is_alive, pids))


BROKEN = {
    "raises": "EOFError: the file ends too early",
    "exits": "SystemExit: cannot go on",
    "ends": "it came to an end",
    "spams": "no batch for 1 s; it printed: RuntimeError: libavutil.so.61: cannot open shared object file",
    "hangs": "no batch for 1 s",
    "crashes": "its process was ended by SIGSEGV (Segmentation fault); it printed: about to read address 0",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_loader_ends_with_its_reason_and_so_do_its_workers(name, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(runner, "SILENCE", 1.0)
    monkeypatch.setattr(runner, "LOOK", 0.1)
    with pytest.raises(ContenderError) as error:
        Runner(fake(name), settings(tmp_path))
    assert BROKEN[name] in error.value.reason
    assert "\n" not in error.value.reason
    found = pids(tmp_path, name)
    assert len(found) == (2 if name in ("hangs", "crashes") else 1)
    assert are_gone(found)
    assert len(capfd.readouterr().err.splitlines()) <= MOST_SHOWN + 1


def test_the_others_are_measured_and_the_broken_ones_named(data, tmp_path, monkeypatch, capfd):
    """One never gives a batch, one gives no more in the second round; both are ended at once, not at the end."""
    monkeypatch.setattr(runner, "SILENCE", 1.0)
    monkeypatch.setattr(runner, "LOOK", 0.1)
    chosen = (fake("good"), fake("spams"), fake("falls_silent"))
    monkeypatch.setattr(loaders, "CONTENDERS", chosen)
    monkeypatch.setattr("bench.arguments.cache_folder", lambda: tmp_path)
    out = tmp_path / "r.json"
    only = ["--only", *(contender.name for contender in chosen)]
    took = ["--seconds", "0.5", "--rounds", "2"]
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
    monkeypatch.setattr(loaders, "CONTENDERS", (fake("raises"),))
    monkeypatch.setattr("bench.arguments.cache_folder", lambda: tmp_path)
    assert main(["loaders", "--data", str(data), *SMALL, "--only", "raises"]) == 1
    printed = capfd.readouterr().out
    assert "│ Loader raises │" in printed
    assert "not measured: Loader raises: failed: EOFError: the file ends too early" in printed


def test_a_process_that_dies_between_its_turns_is_named(tmp_path):
    running = Runner(fake("good"), settings(tmp_path))
    os.kill(running.group, signal.SIGKILL)
    assert are_gone([running.group])
    with pytest.raises(ContenderError, match=r"its process was ended by SIGKILL \(Killed\)"):
        running.measure(0.1)


def test_who_is_slow_but_gives_batches_is_not_ended(tmp_path, monkeypatch):
    """A warm-up far longer than the limit, each batch within it."""
    monkeypatch.setattr(runner, "SILENCE", 1.2)
    monkeypatch.setattr(runner, "LOOK", 0.05)
    running = Runner(fake("good", arguments=(("pause", 0.15),)), settings(tmp_path))
    try:
        assert running.measure(0.8).batches >= 3
    finally:
        running.close()


def test_who_copies_the_data_first_may_take_longer_for_its_first_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "SILENCE", 1.0)
    monkeypatch.setattr(runner, "LOOK", 0.05)
    slow = fake("good", arguments=(("before", 2.5),))
    Runner(replace(slow, copies_data=True), settings(tmp_path)).close()
    with pytest.raises(ContenderError, match="no batch for 1 s"):
        Runner(slow, settings(tmp_path))
    monkeypatch.setattr(runner, "PREPARATION", 4.0)
    with pytest.raises(ContenderError, match="no batch for 4 s"):
        Runner(fake("good", copies_data=True, arguments=(("before", 60.0),)), settings(tmp_path))


def test_large_batches_have_more_time(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "SILENCE", 0.2)
    monkeypatch.setattr(runner, "LOOK", 0.05)
    slow = fake("good", arguments=(("before", 1.0),))
    Runner(slow, replace(settings(tmp_path), batch_size=40)).close()
    with pytest.raises(ContenderError, match="no batch for"):
        Runner(slow, settings(tmp_path))


def test_a_minute_is_what_a_loader_has_for_its_next_batch():
    assert runner.SILENCE == 60
    assert runner.PREPARATION >= 1800


def test_nothing_goes_on_when_the_benchmark_is_killed(tmp_path):
    """As ``timeout -s KILL`` does it, in the midst of a loader's endless start."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "import test_bench_broken as t; from fake_contenders import fake\n"
        "if __name__ == '__main__': t.Runner(fake('spams'), t.settings(Path(sys.argv[2])))\n"
    )
    script = tmp_path / "benchmark.py"
    script.write_text(code)
    here = Path(fake_contenders.__file__).parent
    started = subprocess.Popen(
        [sys.executable, str(script), str(here), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": f"{here.parent}:{here}"},
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60
    while not (tmp_path / "spams.pids").exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.2)
    found = pids(tmp_path, "spams")
    assert is_alive(found[0])
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

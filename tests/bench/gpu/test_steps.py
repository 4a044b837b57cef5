"""python -m bench gpu: a step that fails ends no other, and an interrupt keeps the table so far."""

import json
import os
import signal
import time

import pytest

from bench.__main__ import main
from bench.common.processes import supervised
from tests.helpers.gpu_steps import rows, run_steps, step
from tests.helpers.processes import is_running

pytestmark = pytest.mark.usefixtures("small_cache")


def test_what_cannot_be_ended_is_left_and_the_next_step_is_run(data, tmp_path, monkeypatch, capsys):
    """A process that waits in a driver takes no signal."""
    monkeypatch.setattr(supervised, "KILLED", 0.3)
    kill = os.kill
    monkeypatch.setattr(os, "kill", lambda *_: None)
    stuck = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    steps = (step("tests", stuck, seconds=1), step("kernel", "print(2)", seconds=10))
    start = time.monotonic()
    assert run_steps(monkeypatch, tmp_path, data, steps, "--minutes", "0.2") == 1
    assert time.monotonic() - start < 8
    assert [row[:2] for row in rows(capsys.readouterr().out)] == [["tests", "could not be ended"], ["kernel", "ok"]]
    pid = int((tmp_path / "out" / "gpu.log").read_text().splitlines()[1])
    assert is_running(pid)
    kill(pid, signal.SIGKILL)


def test_a_step_that_fails_crashes_or_hangs_ends_no_other(data, tmp_path, monkeypatch, capsys):
    write = "import json, sys; json.dump({'best': 42}, open(sys.argv[1], 'w')); print('told on the way')"
    steps = (
        step("environment", "import sys; print('no such library'); sys.exit(3)"),
        step("decode", "import os; os.kill(os.getpid(), 11)"),
        step("tests", "import time; time.sleep(60)", seconds=2),
        step("kernel", write, figure=lambda log, path: f"best {json.loads(path.read_text())['best']}"),
        step("step", write, figure=lambda log, path: json.loads(path.read_text())["ratio"]),
    )
    assert run_steps(monkeypatch, tmp_path, data, steps, "--minutes", "0.2") == 1
    printed = capsys.readouterr().out
    found = rows(printed)
    assert [row[:3] for row in found] == [
        ["environment", "exit status 3", ""],
        ["decode", "SIGSEGV", ""],
        ["tests", "time-out", ""],
        ["kernel", "ok", "best 42"],
        ["step", "ok", "no figure in step-cpu.json: KeyError('ratio')"],
    ]
    assert "no such library" in printed
    out = tmp_path / "out"
    summary = json.loads((out / "gpu.json").read_text())
    assert [line["step"] for line in summary["steps"]] == [row[0] for row in found]
    assert all(line["seconds"] < line["limit"] + 1 for line in summary["steps"])
    assert sum(line["seconds"] for line in summary["steps"]) < 12
    assert (out / "gpu.log").read_text().splitlines().count("told on the way") == 2
    assert sorted(file.name for file in out.iterdir()) == ["gpu.json", "gpu.log", "kernel-cpu.json", "step-cpu.json"]


def test_steps_can_be_chosen_and_all_that_end_well_are_a_success(data, tmp_path, monkeypatch, capsys):
    steps = (step("decode", "raise SystemExit(1)"), step("tests", "print(7)"), step("kernel", "print(8)"))
    assert run_steps(monkeypatch, tmp_path, data, steps, "--steps", "kernel", "tests") == 0
    assert [row[:2] for row in rows(capsys.readouterr().out)] == [["tests", "ok"], ["kernel", "ok"]]


def test_the_figure_of_an_earlier_run_is_not_shown(data, tmp_path, monkeypatch, capsys):
    (tmp_path / "out").mkdir()
    old = tmp_path / "out" / "kernel-cpu.json"
    old.write_text("{}")
    os.utime(old, (1, 1))
    assert run_steps(monkeypatch, tmp_path, data, (step("kernel", "", figure=lambda log, path: "old"),)) == 0
    assert rows(capsys.readouterr().out)[0][:3] == ["kernel", "ok", ""]


@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM"])
def test_an_interrupt_ends_the_step_and_prints_the_table_so_far(data, tmp_path, monkeypatch, capsys, sent):
    interrupt = f"import os, signal, time; os.kill(os.getppid(), signal.{sent}); time.sleep(60)"
    steps = (step("decode", "print(1)"), step("tests", interrupt), step("kernel", "print(2)"))
    start = time.monotonic()
    assert run_steps(monkeypatch, tmp_path, data, steps) == 130
    assert time.monotonic() - start < 30
    assert [row[:2] for row in rows(capsys.readouterr().out)] == [["decode", "ok"], ["tests", "interrupted"]]
    assert json.loads((tmp_path / "out" / "gpu.json").read_text())["steps"][1]["outcome"] == "interrupted"


@pytest.mark.parametrize("complete", [True, False])
def test_the_figure_of_a_part_says_so(data, tmp_path, monkeypatch, capsys, complete):
    write = f"import json, sys; json.dump({{'complete': {complete}}}, open(sys.argv[1], 'w'))"
    monkeypatch.setenv("COLUMNS", "140")
    steps = (step("kernel", write, figure=lambda log, path: "5 ms"),)
    assert run_steps(monkeypatch, tmp_path, data, steps) == 0
    assert rows(capsys.readouterr().out)[0][2] == "5 ms" + ("" if complete else " (incomplete)")


def test_what_a_killed_step_had_half_written_is_removed(data, tmp_path, monkeypatch):
    half = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); p.with_name(f'.0123abcd.{p.name}.tmp').write_text('{')"
    assert run_steps(monkeypatch, tmp_path, data, (step("kernel", half),)) == 0
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["gpu.json", "gpu.log"]


def test_steps_run_without_another_toolkits_nvjpeg(data, tmp_path, monkeypatch):
    """The driver may be found through the other folders."""
    older, driver = tmp_path / "older", tmp_path / "driver"
    for folder, name in ((older, "libnvjpeg.so.12"), (driver, "libcuda.so.1")):
        folder.mkdir()
        (folder / name).touch()
    code = "import os; print(os.environ.get('LD_LIBRARY_PATH'), os.environ['DALI_NVIMGCODEC_LOG_LEVEL'])"
    for given, left in ((f"{older}:{driver}:/nowhere", f"{driver}:/nowhere"), (f"{older}", "None")):
        monkeypatch.setenv("LD_LIBRARY_PATH", given)
        assert run_steps(monkeypatch, tmp_path, data, (step("kernel", code),)) == 0
        assert (tmp_path / "out" / "gpu.log").read_text().splitlines()[1] == f"{left} 1"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--minutes", "0"], "--minutes 0 given; it is the time for all steps, above 0"),
        (["--threads", "-1"], "--threads -1 given"),
        (["--device", "cuda:99"], "--device cuda:99 given; on this machine there is cpu"),
        (["--data", "/no/such/folder"], "/no/such/folder: no such folder"),
    ],
)
def test_bad_input_is_refused(tmp_path, capsys, arguments, says):
    device = [] if "--device" in arguments else ["--device", "cpu"]
    assert main(["gpu", *device, "--out", str(tmp_path), *arguments]) == 2
    assert says in capsys.readouterr().err
    assert not any(tmp_path.iterdir())

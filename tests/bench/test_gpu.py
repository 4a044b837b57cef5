"""python -m bench gpu: a failing step ends no other, limits are kept, the last lines are a table of figures."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.common.processes import supervised
from bench.decode.ways import all_ways
from bench.gpu import command as gpu
from bench.gpu import key_figures
from bench.gpu import steps as gpu_steps
from bench.gpu.steps import STEPS, GpuStep, StepContext, budgets
from bench.loaders.contenders import CONTENDERS, Contender
from tests.bench import test_tune as test_bench_tune
from tests.helpers import ROOT
from tests.helpers.bench_fixtures import are_gone, cache_fixture, data_fixture, is_running  # noqa: F401

RESULTS = ROOT / "bench" / "results"


def python(code, *arguments):
    return [sys.executable, "-c", code, *map(str, arguments)]


def step(name, code, seconds=10.0, figure=lambda log, path: ""):
    return GpuStep(name, seconds, lambda task, budget: python(code, task.json(name)), figure)


def supervise(code, tmp_path, limit):
    with (tmp_path / "log").open("wb") as log:
        return supervised.run_supervised(python(code, tmp_path), log, limit, cwd=tmp_path, environment=os.environ)


@pytest.mark.parametrize(
    ("code", "status"),
    [("print(1)", 0), ("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 11)", -signal.SIGSEGV)],
    ids=["ends", "fails", "crashes"],
)
def test_how_a_command_ended_is_told(tmp_path, code, status):
    assert supervise(code, tmp_path, 30).status == status


def test_a_signal_without_a_name_is_told_by_its_number():
    assert [supervised.describe_status(status) for status in (2, -9, -35)] == ["exit status 2", "SIGKILL", "signal 35"]


STUBBORN = """
import os, pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) > 2:
    os.setpgid(0, 0)
else:
    subprocess.Popen([sys.executable, "-c", pathlib.Path("stubborn.py").read_text(), sys.argv[1], "child"])
pathlib.Path(f"{os.getpid()}.pid").touch()
END = time.time() + 60
while time.time() < END:
    time.sleep(0.1)
"""


def test_what_hangs_is_ended_within_its_limit_with_its_children_whatever_they_ignore(tmp_path):
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    start = time.monotonic()
    ended = supervise(STUBBORN, tmp_path, 2.5)
    assert (ended.status, ended.gone) == (None, True)
    assert 2 < time.monotonic() - start < 4
    pids = [int(file.stem) for file in tmp_path.glob("*.pid")]
    assert len(pids) == 2
    assert are_gone(pids)


def test_what_a_command_leaves_behind_is_ended_too(tmp_path):
    leave = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)"
    assert supervise(leave, tmp_path, 30).status == 0
    assert are_gone([int((tmp_path / "log").read_text())])


CLEANS = """
import pathlib, sys, tempfile, time
from bench.common.processes.interrupt import interruptible
with interruptible(), tempfile.TemporaryDirectory(dir=sys.argv[1]) as folder:
    try:
        time.sleep(60)
    finally:
        pathlib.Path(sys.argv[1], "cleaned").touch()
        time.sleep(float(sys.argv[2]))
"""


def test_a_command_may_clean_up_before_its_limit(tmp_path):
    """Temporary folders go; a second request to end does not disturb that."""
    start = time.monotonic()
    process = subprocess.Popen(python(CLEANS, tmp_path, 0.3), cwd=ROOT, stderr=subprocess.DEVNULL)
    while not any(tmp_path.iterdir()) and time.monotonic() < start + 30:
        time.sleep(0.02)
    process.terminate()
    while not (tmp_path / "cleaned").exists() and time.monotonic() < start + 30:
        time.sleep(0.02)
    process.terminate()
    assert process.wait(30) == -signal.SIGINT  # Python's own answer to an interrupt that nobody catches
    assert [file.name for file in tmp_path.iterdir()] == ["cleaned"]


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


def run_steps(monkeypatch, tmp_path, data, steps, *options):
    monkeypatch.setattr(gpu, "STEPS", steps)
    monkeypatch.chdir(tmp_path)
    return main(["gpu", "--device", "cpu", "--data", str(data), "--out", "out", *options])


def rows(printed):
    """Cells of the table, which has to be the last thing printed."""
    lines = printed.rstrip().splitlines()
    assert lines[-1].startswith("└")
    last = max(number for number, line in enumerate(lines) if line.startswith("┏"))
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines[last:] if line.startswith("│")]


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


def test_limits_are_shares_of_what_is_left_and_the_total_is_kept():
    for minutes in (1.0, 4.0, 8.0):
        left, given = 60 * minutes, []
        for number in range(len(STEPS)):
            given.append(budgets(STEPS[number:], left))
            left -= given[-1]
        total = sum(step.seconds for step in STEPS)
        assert given == pytest.approx([60 * minutes * step.seconds / total for step in STEPS])
        assert left == pytest.approx(0)
    # What an early end leaves goes to all that follow, in proportion.
    assert budgets(STEPS[1:], 470) / budgets(STEPS[1:], 235) == pytest.approx(2)
    assert budgets(STEPS[-1:], 300) == 300


def test_the_limits_of_eight_minutes_are_those_of_the_steps():
    assert sum(step.seconds for step in STEPS) == 8 * 60


@pytest.mark.parametrize("on_gpu", [True, False])
@pytest.mark.parametrize("processors", [2, 8, 16])
def test_within_eight_minutes_the_work_of_a_step_fits_its_limit(on_gpu, processors):
    """With measurements that are long enough to tell: at least a second for a way, three times 1.5 s for a loader."""
    limits = {step.name: step.seconds for step in STEPS}
    decode = gpu_steps.decode_plan(limits["decode"], on_gpu, processors)
    number = len(all_ways(on_gpu, loads=decode.loads, rewritten=decode.rewritten))
    assert decode.planned == number * (3 + decode.seconds) + 10 * -(-number // processors)
    assert decode.planned <= 0.85 * limits["decode"]
    assert decode.seconds >= 1
    assert decode.loads[0] == 0.65
    names = gpu_steps.LOADERS["gpu" if on_gpu else "cpu"]
    loaders = gpu_steps.loaders_plan(limits["loaders"], len(names))
    assert loaders.planned == pytest.approx(len(names) * (9 + loaders.rounds * (loaders.seconds + 0.7)))
    assert loaders.planned <= 0.85 * limits["loaders"]
    assert (loaders.seconds >= 1.5, loaders.rounds) == (True, 3)


def test_more_time_means_more_ways_to_decode():
    plans = [gpu_steps.decode_plan(budget, True, 16) for budget in (20, 50, 70, 90, 120, 130, 160)]
    assert [len(all_ways(True, loads=plan.loads, rewritten=plan.rewritten)) for plan in plans] == [
        4,
        8,
        12,
        16,
        20,
        20,
        24,
    ]
    assert [plan.seconds for plan in plans] == [1, 1, 1, 1, 1, 1.5, 1.5]


def test_the_decoder_and_the_loaders_are_told_their_plan(tmp_path):
    task = StepContext("cuda:0", None, tmp_path, 16)
    decode = gpu_steps._decode(task, 90)
    plan = gpu_steps.decode_plan(90, True, len(os.sched_getaffinity(0)))
    loads = decode[decode.index("--loads") + 1 : decode.index("--loads") + 1 + len(plan.loads)]
    assert loads == [str(load) for load in plan.loads]
    assert decode[decode.index("--seconds") + 1] == str(plan.seconds)
    for command, minutes in ((decode, 0.85 * 90 / 60), (gpu_steps._loaders(task, 130), 0.85 * 130 / 60)):
        assert float(command[command.index("--minutes") + 1]) == pytest.approx(minutes, rel=0.01)
    assert command[command.index("--silence") + 1] == "15"


@pytest.mark.parametrize("device", ["cuda:0", "cpu"])
@pytest.mark.parametrize("budget", [5.0, 60.0, 400.0])
def test_every_command_is_one_that_exists(tmp_path, device, budget, capsys):
    task = StepContext(device, tmp_path, tmp_path, 16)
    for each in STEPS:
        command = each.command(task, budget)
        assert command[0] == sys.executable
        if command[1:3] != ["-m", "bench"]:
            continue
        # --help after all options: they are parsed, and nothing runs.
        with pytest.raises(SystemExit) as ended:
            main([*command[3:], "--help"])
        assert ended.value.code == 0
        assert command[3] == each.name
        assert command[command.index("--device") + 1] == device
        assert command[command.index("--json") + 1].endswith(f"{each.name}-{'cpu' if device == 'cpu' else 'gpu'}.json")


def test_measurements_are_as_long_as_the_limit_allows():
    found = [gpu_steps.loaders_plan(budget, 5) for budget in (110, 95, 85, 80, 70, 10)]
    assert [(plan.seconds, plan.rounds) for plan in found] == [
        *((2.0, 3), (1.5, 3), (1.0, 3), (1.0, 2), (0.5, 2), (0.5, 1))
    ]


def chosen_loaders(device, tmp_path):
    command = gpu_steps._loaders(StepContext(device, None, tmp_path, 2), 150)
    return command[command.index("--only") + 1 : command.index("--device")]


def test_the_loaders_of_the_device_are_measured_the_most_telling_first(tmp_path, monkeypatch):
    monkeypatch.setattr(Contender, "missing", lambda self: [])
    assert chosen_loaders("cuda:0", tmp_path) == [
        *("ours-cutmix", "dali-decode-whole", "ours-float16", "ours", "torchvision-gpu", "dali-decode", "dali")
    ]
    assert chosen_loaders("cpu", tmp_path) == ["ours-cutmix", "dali-decode", "ours", "torchvision-io", "dali"]
    assert {name for each in gpu_steps.LOADERS.values() for name in each} <= {one.name for one in CONTENDERS}


def test_a_loader_that_is_not_installed_is_named_and_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Contender, "missing", lambda self: ["torchvision"] if "torchvision" in self.name else [])
    assert "torchvision-gpu" not in chosen_loaders("cuda:0", tmp_path)
    assert capsys.readouterr().out == "torchvision-gpu is left out; not installed: torchvision\n"


MARK = "mark" + ".gpu"
"""In parts, else this file would count as one with such tests."""
TESTS = """
import os, time
import pytest

@MARK
def test_good(): pass

@MARK
def test_bad(): assert 1 == 2

@MARK
@pytest.mark.parametrize("name", ["a b", "c"])
def test_absent(name): pytest.skip("not here")

@MARK
def test_crash(): os.kill(os.getpid(), 11)

@MARK
def test_hang(): time.sleep(60)

@MARK
@pytest.mark.xfail
def test_expected(): assert False

@pytest.fixture
def broken():
    yield
    assert False

@MARK
def test_torn_down(broken): pass

@MARK
def test_also_good(): time.sleep(0.2)

def test_for_a_cpu(): assert False
"""


@pytest.fixture(scope="module", name="ran")
def tests_of_all_kinds(tmp_path_factory):
    """The step ``tests``, run in a checkout with tests of all kinds."""
    root = tmp_path_factory.mktemp("checkout")
    (root / "tests").mkdir()
    (root / "pytest.ini").write_text("[pytest]\nmarkers =\n    gpu: needs a GPU\n")
    (root / "tests" / "test_kinds.py").write_text(TESTS.replace("@MARK", f"@pytest.{MARK}"))
    (root / "tests" / "test_broken.py").write_text(f"import no_such_module  # {MARK}\n")
    (root / "tests" / "test_other.py").write_text("import no_such_module_either\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_steps, "ROOT", root)
        command = gpu_steps._tests(StepContext("cpu", None, root, 2), 9)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_test_that_crashes_or_hangs_ends_no_other(ran):
    found = {name.partition("::")[2] or name: word for name, word in key_figures.outcomes(ran.stdout).items()}
    assert found == {
        "tests/test_broken.py": "failed",
        "test_good": "passed",
        "test_bad": "failed",
        "test_absent[a b]": "skipped",
        "test_absent[c]": "skipped",
        "test_crash": "failed",
        "test_hang": "failed",
        "test_expected": "passed",
        "test_torn_down": "failed",
        "test_also_good": "passed",
    }
    assert ran.returncode == 1
    assert key_figures.tests(ran.stdout, Path()) == "3 passed, 5 failed, 2 skipped"
    assert ran.stdout.rstrip().endswith("\n3 passed, 5 failed, 2 skipped")


def test_why_a_test_failed_is_printed(ran):
    assert "\n[failed: SIGSEGV] tests/test_kinds.py::test_crash\n" in ran.stdout
    assert "\n[failed: did not end within 3 s] tests/test_kinds.py::test_hang\n" in ran.stdout
    assert "assert 1 == 2" in ran.stdout
    assert "No module named 'no_such_module'" in ran.stdout
    assert "no_such_module_either" not in ran.stdout


def test_a_process_that_ends_before_its_tests_has_failed(tmp_path):
    (tmp_path / "conftest.py").write_text("import os\nos.abort()\n")
    (tmp_path / "test_a.py").write_text("def test_a(): pass\n")
    command = [sys.executable, "-m", "bench.gpu.run_tests", "1", "30", str(tmp_path / "test_a.py")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert ran.stdout.startswith("[failed: SIGABRT] process 0\n")
    assert ran.stdout.endswith("\n0 passed, 1 failed, 0 skipped\n")


def test_tests_that_were_running_at_the_end_of_the_time_are_named(tmp_path):
    slow = tmp_path / "test_slow.py"
    code = f"import time, pytest\n@pytest.{MARK}\ndef test_a(): pass\n@pytest.{MARK}\ndef test_b(): time.sleep(60)\n"
    slow.write_text(code + f"@pytest.{MARK}\ndef test_c(): pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    gpu: needs a GPU\n")
    command = [sys.executable, "-m", "bench.gpu.run_tests", "1", "30", str(slow)]
    with (tmp_path / "log").open("w") as log:
        running = subprocess.Popen(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=log)
    end = time.monotonic() + 30
    while "::test_a" not in (tmp_path / "log").read_text() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.3)
    running.terminate()
    assert running.wait(10) == 130
    said = (tmp_path / "log").read_text()
    assert said.endswith("[passed] test_slow.py::test_a\n[did not end] test_slow.py::test_b\n")
    assert key_figures.tests(said, Path()) == "1 passed, 0 failed, 0 skipped, 1 did not end, 1 without a result"


def test_tests_without_a_result_are_counted():
    log = (
        "[collected: 9] tests\n[passed] tests/test_gpu.py::test_a[x-y z]\n[failed: SIGBUS] tests/test_gpu.py::test_b\n"
    )
    assert key_figures.tests(log, Path()) == "1 passed, 1 failed, 0 skipped, 7 without a result"


@pytest.mark.parametrize("complete", [True, False])
def test_the_figure_of_a_part_says_so(data, tmp_path, monkeypatch, capsys, complete):
    write = f"import json, sys; json.dump({{'complete': {complete}}}, open(sys.argv[1], 'w'))"
    monkeypatch.setenv("COLUMNS", "140")
    steps = (step("kernel", write, figure=lambda log, path: "5 ms"),)
    assert run_steps(monkeypatch, tmp_path, data, steps) == 0
    assert rows(capsys.readouterr().out)[0][2] == "5 ms" + ("" if complete else " (incomplete)")


def test_what_a_killed_step_had_half_written_is_removed(data, tmp_path, monkeypatch):
    half = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); p.with_name(f'.{p.name}.tmp').write_text('{')"
    assert run_steps(monkeypatch, tmp_path, data, (step("kernel", half),)) == 0
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["gpu.json", "gpu.log"]


def test_figures_are_read_from_results(tmp_path):
    result = json.loads((RESULTS / "loaders-cpu.json").read_text())
    rates = {row["name"]: row["images_per_second"] for row in result["contenders"]}
    expected = (
        f"{rates['ours-cutmix'] / rates['dali-decode']:.3f} of dali-decode ({rates['ours-cutmix']:,.0f} images/s)"
    )
    assert key_figures.loaders("", RESULTS / "loaders-cpu.json") == expected
    result["machine"]["gpu"] = "Some GPU"
    result["contenders"].append({"name": "dali-decode-whole", "images_per_second": 2 * rates["ours-cutmix"]})
    (tmp_path / "l.json").write_text(json.dumps(result))
    assert key_figures.loaders("", tmp_path / "l.json").startswith("0.500 of dali-decode-whole (")
    passes = json.loads((RESULTS / "kernel-cpu.json").read_text())["passes"]
    (row,) = (
        row for row in passes if (row["mixing"], row["dtype"], row["channels_last"]) == ("CutMix", "float16", True)
    )
    expected = f"{row['ms']:.3f} ms a batch (CutMix, float16 NHWC), {row['of_copy']:.0%} of a copy's bandwidth"
    assert key_figures.kernel("", RESULTS / "kernel-cpu.json") == expected
    late = row | {"host_bound": True}
    (tmp_path / "k.json").write_text(json.dumps({"passes": [late]}))
    assert key_figures.kernel("", tmp_path / "k.json") == expected + "; the host was too slow to tell"
    result = json.loads((RESULTS / "step-cpu.json").read_text())
    assert key_figures.step("", RESULTS / "step-cpu.json").startswith(f"{result['ratio']['median']:.3f} of the model's")


@pytest.mark.parametrize(("rate", "figure"), [(1100.0, "prefetch=4"), (1000.0, "prefetch=2 (the default, kept)")])
def test_the_value_found_is_told(data, tmp_path, monkeypatch, rate, figure):
    test_bench_tune.stub(monkeypatch, lambda given: rate if given.get("prefetch") == 4 else 1000.0)
    out = tmp_path / "tune.json"
    options = ["--data", str(data), *test_bench_tune.SMALL, "--only", "prefetch", "--json", str(out)]
    assert main(["tune", *options]) == 0
    assert key_figures.tune("", out) == figure


def test_the_environment_of_this_machine_is_printed(data, tmp_path, capfd):
    """It has no file of its own: gpu.json tells machine and versions."""
    options = ["--device", "cpu", "--data", str(data), "--out", str(tmp_path), "--steps", "environment"]
    assert main(["gpu", *options]) == 0
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert rows(capfd.readouterr().out)[0][:3] == ["environment", "ok", result["machine"]["cpu"]]
    assert result["versions"]["torch"]
    assert "DALI " in (tmp_path / "gpu.log").read_text()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["gpu.json", "gpu.log"]


def test_all_results_are_at_most_seven_files(tmp_path):
    task = StepContext("cuda:0", None, tmp_path, 2)
    commands = [each.command(task, 60) for each in STEPS]
    files = {command[command.index("--json") + 1] for command in commands if "--json" in command}
    assert len(files | {"gpu.json", "gpu.log"}) == 7


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


def test_results_lie_where_they_are_wanted(tmp_path, monkeypatch):
    monkeypatch.delenv("OUT", raising=False)
    assert gpu._folder(None, "cuda:0") == RESULTS
    assert gpu._folder(None, "cpu") == ROOT / "build" / "gpu"
    monkeypatch.setenv("OUT", str(tmp_path))
    assert gpu._folder(None, "cuda:0") == tmp_path
    assert gpu._folder(tmp_path / "a", "cpu") == tmp_path / "a"


def outside_make():
    """The environment without what ``make test`` hands on to its commands: a make below another one prints more."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))}


def test_make_passes_its_options_on():
    given = [f"PYTHON={sys.executable}", "DEVICE=cpu", "MINUTES=4", "STEPS=tests kernel", "PHOTOS=/some/photos"]
    said = subprocess.run(
        ["make", "-n", "gpu", *given], cwd=ROOT, env=outside_make(), capture_output=True, text=True, check=True
    ).stdout
    said = " ".join(said.replace("\\\n", " ").split())
    expected = "-m bench gpu --minutes 4 --device cpu --steps tests kernel --data /some/photos"
    assert said.endswith(f"{sys.executable} {expected}")


@pytest.fixture
def checkout(tmp_path):
    """The Makefile alone, and Pythons that write down how they are called."""
    for name in ("pyproject.toml", "setup.py"):
        (tmp_path / name).touch()
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    for name, fails_at in (("without_dali", "import nvidia"), ("without_compiler", "setup.py")):
        path = tmp_path / name
        said = f"case \"$*\" in *'{fails_at}'*) echo '{fails_at} failed' >&2; exit 1;; esac"
        path.write_text(f'#!/bin/sh\necho "$*" >> calls\n{said}\n')
        path.chmod(0o755)
    return tmp_path


def make(checkout, *given):
    ran = subprocess.run(
        ["make", *given], cwd=checkout, env=outside_make(), capture_output=True, text=True, check=False
    )
    return ran, (checkout / "calls").read_text()


def test_a_python_that_was_given_has_to_have_dali(checkout):
    ran, calls = make(checkout, "gpu", "PYTHON=./without_dali")
    assert ran.returncode == 2
    assert "import nvidia failed" in ran.stderr
    assert "venv" not in calls
    assert "bench gpu" not in calls


def test_without_a_compiler_make_gpu_goes_on(checkout):
    ran, calls = make(checkout, "gpu", "PYTHON=./without_compiler")
    assert ran.returncode == 0, ran.stderr
    assert "setup.py failed" in ran.stderr
    assert calls.splitlines()[-1] == "-m bench gpu --minutes 8 --device cuda:0"


def test_where_no_python_was_given_make_gpu_sets_up_its_own(checkout):
    ran = subprocess.run(
        ["make", "-n", "gpu"],
        cwd=checkout,
        env=outside_make() | {"PYTHON": "./without_dali"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "./without_dali -m venv .venv" in ran.stdout
    assert ".venv/bin/python -m bench gpu" in ran.stdout


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

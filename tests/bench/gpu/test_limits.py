"""python -m bench gpu --minutes: each step gets its share of the time, and its command fits into it."""

import os
import sys

import pytest

from bench.__main__ import main
from bench.decode.ways import all_ways
from bench.gpu import steps as gpu_steps
from bench.gpu.steps import STEPS, StepContext, budgets
from bench.loaders.contenders import CONTENDERS, Contender

pytestmark = pytest.mark.usefixtures("small_cache")


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

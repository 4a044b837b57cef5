"""Small programs in the place of the steps of python -m bench gpu."""

import sys

from bench.__main__ import main
from bench.gpu import command as gpu
from bench.gpu.steps import GpuStep
from tests.helpers import ROOT

RESULTS = ROOT / "bench" / "results"


def python(code, *arguments):
    """A command that runs a program."""
    return [sys.executable, "-c", code, *map(str, arguments)]


def step(name, code, seconds=10.0, figure=lambda log, path: ""):
    """A step that is a small program; it is given the path of its result."""
    return GpuStep(name, seconds, lambda task, budget: python(code, task.json(name)), figure)


def run_steps(monkeypatch, tmp_path, data, steps, *options):
    """The command ``bench gpu`` with these steps only; its exit status."""
    monkeypatch.setattr(gpu, "STEPS", steps)
    monkeypatch.chdir(tmp_path)
    return main(["gpu", "--device", "cpu", "--data", str(data), "--out", "out", *options])


def rows(printed):
    """Cells of the table, which has to be the last thing printed."""
    lines = printed.rstrip().splitlines()
    assert lines[-1].startswith("└")
    last = max(number for number, line in enumerate(lines) if line.startswith("┏"))
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines[last:] if line.startswith("│")]

"""The examples in the trainer's docstrings: sessions (``>>>``) print what they say, and blocks (``::``) run."""

import ast
import doctest
import importlib
import inspect
import re
import textwrap
from pathlib import Path

import pytest

import train.recipes
from tests.helpers import ROOT
from tests.helpers.training import make_folder, quick

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "train").rglob("*.py")
)
FINDER = doctest.DocTestFinder(exclude_empty=True)
SESSIONS = {
    test.name: test for name in MODULES for test in FINDER.find(importlib.import_module(name), name) if test.examples
}


@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_prints_what_it_says(name):
    runner = doctest.DocTestRunner()
    printed: list[str] = []
    runner.run(SESSIONS[name], out=printed.append)
    assert not runner.failures, "".join(printed)


def blocks(name: str) -> dict[str, str]:
    """Code of a module's examples that are no sessions, by what they are in."""
    found = {}
    for node in ast.walk(ast.parse(inspect.getsource(importlib.import_module(name)))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            for block in re.findall(r"^Example[^\n]*::\n\n((?:[ ]{4}[^\n]*\n|\n)+)", text + "\n", re.MULTILINE):
                if ">>>" not in block:
                    found[f"{name}.{getattr(node, 'name', '')}"] = textwrap.dedent(block)
    return found


BLOCKS = {where: code for name in MODULES for where, code in blocks(name).items()}
TRAINED = [  # in this order: each uses what the one before has made
    "train.engine.loop.fit",
    "train.engine.run.Run",
    "train.engine.checkpoint.Checkpoint",
    "train.evaluation.evaluator.Evaluator",
    "train.tasks.initial_weights.load_matching_weights",
]


@pytest.mark.parametrize("where", [where for where in BLOCKS if where not in TRAINED])
def test_a_block_runs(where):
    exec(BLOCKS[where], vars(importlib.import_module(where.rpartition(".")[0])).copy())


def test_blocks_of_a_run_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    config = quick(make_folder(tmp_path / "data"), Path("runs/digits"), epochs=1)
    monkeypatch.setattr(train.recipes, "digits", lambda: config)
    monkeypatch.chdir(tmp_path)
    made: dict[str, object] = {}
    for where in TRAINED:
        made = vars(importlib.import_module(where.rpartition(".")[0])) | made
        exec(BLOCKS[where], made)
    printed = capsys.readouterr().out
    assert "1 resnet10 ['blue', 'green', 'red']" in printed
    assert "parameters\nwritten to runs/digits/last.size.json" in printed
    assert "random: fc (2)" in printed
    assert Path("runs/digits/last.size.json").exists()


def test_there_are_examples():
    assert len(SESSIONS) > 15
    assert BLOCKS.keys() >= set(TRAINED)

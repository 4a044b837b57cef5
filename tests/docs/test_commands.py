"""Every command line in README, CONTRIBUTING and docs can be given: modules, options, files and targets exist."""

import argparse
import ast
import functools
import importlib.util
import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib

import pytest
import tyro
from torch.distributed.run import get_args_parser

import dali_cutmix as dc
from tests.helpers import ROOT
from tests.helpers.documents import DOCUMENTS, commands
from train.engine import Checkpoint
from train.recipes import RECIPES

COMMANDS = {command: document for document in DOCUMENTS for command in commands(document)}


class ParsedError(BaseException):
    """Ends a command as soon as it has understood its options; nothing catches it."""


def stopping(function):
    """``function``, ending the command after it returns."""

    @functools.wraps(function)
    def stop(*args, **kwargs):
        function(*args, **kwargs)
        raise ParsedError

    return stop


def stopping_before(function):
    @functools.wraps(function)
    def stop(*args, **kwargs):
        raise ParsedError

    return stop


@pytest.fixture
def parsers_only(monkeypatch):
    """Commands end when they have parsed their options, those in ``sys.argv``."""
    from_dict = tyro.extras.subcommand_cli_from_dict

    def parse_only(subcommands, **options):
        return from_dict({name: stopping_before(function) for name, function in subcommands.items()}, **options)

    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(tyro, "cli", stopping(tyro.cli))
    monkeypatch.setattr(tyro.extras, "subcommand_cli_from_dict", parse_only)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stopping(argparse.ArgumentParser.parse_args))


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The current folder has the runs that commands name, each a checkpoint of the paper's ImageNet recipe."""
    config = RECIPES["imagenet-resnet50"]().to_dict()
    checkpoint = Checkpoint(config, ["a"], 1, 1, model={}, ema=None, optimizer={}, ranks=[], history=[])
    for name in ("A", "NAME"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        checkpoint.save(tmp_path / "runs" / name / "last.pt")
    monkeypatch.chdir(tmp_path)


def module(words: list[str]) -> None:
    """``python -m`` with the module's name and its options."""
    name, *arguments = words
    if name.startswith("examples."):
        example(ROOT / f"{name.replace('.', '/')}.py", arguments)
    elif name == "pytest":
        python_tests(arguments)
    elif name == "build" or not arguments:
        assert importlib.util.find_spec(name)
    else:
        assert name.split(".")[0] in ("dali_cutmix", "pipelines", "train", "bench")
        sys.argv = [name, *arguments]
        with pytest.raises((ParsedError, SystemExit)) as ended:
            runpy.run_module(name, run_name="__main__")
        if ended.type is SystemExit:
            assert "--help" in arguments
            assert not ended.value.code
        if name == "train" and "--" in arguments:  # behind it are options of the study's trainings
            recipe = arguments[1] if not arguments[1].startswith("-") else "digits"
            module(["train", recipe, *arguments[arguments.index("--") + 1 :]])


def example(path, arguments: list[str]) -> None:
    """An example's own parser, without the imports that only training needs."""
    nodes = [
        node
        for node in ast.parse(path.read_text()).body
        if "parser" in (code := ast.unparse(node)) or code in ("import argparse", "from pathlib import Path")
    ]
    sys.argv = [str(path), *arguments]
    with pytest.raises(ParsedError):
        exec(compile(ast.Module(nodes, []), path, "exec"), {"__doc__": ""})


def torchrun(words: list[str]) -> None:
    given = get_args_parser().parse_known_args(words)[0]
    assert given.module
    module([given.training_script, *given.training_script_args])


def make(words: list[str]) -> None:
    """Targets and variables are those of the Makefile, and what is run can be run."""
    text = (ROOT / "Makefile").read_text()
    assert all(f"$({name})" in text for name in (word.split("=")[0] for word in words if "=" in word))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--dry-run", "PYTHON=python", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line in re.findall(r"python -m ((?:train|bench).*)", done.stdout.replace("\\\n", " ")):
        module(shlex.split(line))


def pip(words: list[str]) -> None:
    wheel, extras = re.fullmatch(r"dist/(\S+?)-py3-none-linux_x86_64\.whl\[(.*)\]", words[-1]).groups()
    assert wheel == f"dali_cutmix-{dc.__version__}"
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras.split(",")) <= known.keys()


def python_tests(words: list[str]) -> None:
    paths = [word for word in words if "/" in word]
    assert paths
    assert all((ROOT / path).exists() for path in paths)


def copied(words: list[str]) -> None:
    assert all((ROOT / path).is_file() for path in words[:-1])


KNOWN = {
    "python -m": module,
    "torchrun": torchrun,
    "make": make,
    "pip install": pip,
    "pytest": python_tests,
    "cp": copied,
    "source .venv/bin/activate": lambda words: None,
    "pre-commit install": lambda words: None,
}
"""How each kind of command is checked, by how it begins."""


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")  # of runpy
@pytest.mark.usefixtures("parsers_only", "runs")
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_understood(command, capsys):
    begin = next((begin for begin in KNOWN if f"{command} ".startswith(f"{begin} ")), None)
    assert begin, f"{command}: say in KNOWN how to check such a command"
    KNOWN[begin](shlex.split(command.removeprefix(begin)))


def test_what_is_no_option_is_noticed(parsers_only, runs, capsys):
    for wrong in (
        "train --epoch-number 3",
        "train study --seed-number 1",
        "train.evaluate robustness runs/NAME --epsilon-list 2",
        "bench loaders --no-such-option 1",
        "dali_cutmix.check /data --no-such-option 1",
        "examples.timm_resnet50 /data --no-such-option 1",
    ):
        with pytest.raises((AssertionError, SystemExit, pytest.fail.Exception)):
            module(wrong.split())
    with pytest.raises(AssertionError):
        make(["no-such-target"])


def test_options_that_are_named_exist():
    """In inline code, such as ``--embedded``."""
    folders = [ROOT / name for name in ("dali_cutmix", "pipelines", "train", "bench")]
    sources = "\n".join(path.read_text() for folder in folders for path in folder.rglob("*.py"))
    words = set(re.findall(r"`(?:[^`\n]* )?(--[a-z][a-z-]+)[ `]", "\n".join(d.read_text() for d in DOCUMENTS)))
    assert words
    unknown = {word for word in words if word not in sources and f" {word[2:].replace('-', '_')}: " not in sources}
    assert not unknown - {"--help"}

"""From a command line to a configuration."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tyro

from train.config import RunConfig
from train.engine import Checkpoint, find_checkpoint
from train.recipes import EMBEDDED, RECIPES, config_of

DESCRIPTION = """Train a classifier on JPEGs, decoded and mixed by DALI; or a detector or a captioner on top of one.

To train all four methods and compare them: python -m train study --help. The recipes voc-… and coco-… take --embedded:
a small version for embedded scenes of digits.

Recipes (the first argument; digits if none is given) set the defaults shown here:
"""


def parse(arguments: Sequence[str]) -> RunConfig:
    """The configuration that a command line asks for.

    With ``--resume`` the options that the checkpoint was saved with take the recipe's place.

    Raises:
        ValueError, FileNotFoundError: no such recipe or checkpoint; options that contradict each other.
        SystemExit: an option that is not known, a value that is not allowed, or --help. tyro ends with it, after it has
            told what is wrong.
    """
    config = _given(arguments)
    if config.iterations and any(word.partition("=")[0] == "--epochs" for word in arguments):
        raise ValueError(
            f"--epochs given, and the run is of --iterations {config.iterations}; give another number of these, or "
            "--iterations 0 beside --epochs (--milestones are epochs then, too)."
        )
    return config


def _given(arguments: Sequence[str]) -> RunConfig:
    named = bool(arguments) and not arguments[0].startswith("-")
    recipe, options = (arguments[0], arguments[1:]) if named else ("digits", arguments)
    if recipe not in RECIPES:
        raise ValueError(f"there is no recipe {recipe!r}; allowed are {', '.join(RECIPES)}.")
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--resume", type=Path)
    finder.add_argument("--embedded", action="store_true")
    found, rest = finder.parse_known_args(options)
    resume = found.resume
    if found.embedded:
        if recipe not in EMBEDDED or resume:
            raise ValueError(f"--embedded given; it goes with a new run of {', '.join(EMBEDDED)}.")
        return _parse(rest, EMBEDDED[recipe]())
    if resume is None:
        return _parse(options, RECIPES[recipe]())
    path = find_checkpoint(resume)
    saved = config_of(Checkpoint.load(path).config)
    if named and recipe != saved.recipe:
        raise ValueError(
            f"{path} was trained with the recipe {saved.recipe!r}, and {recipe!r} was given; "
            "leave the recipe out: --resume takes it from the checkpoint."
        )
    return _parse(options, dataclasses.replace(saved, output_dir=path.parent, resume=path))


def _parse(options: Sequence[str], default: RunConfig) -> RunConfig:
    recipes = "\n".join(f"  {name:24}{(recipe.__doc__ or '').splitlines()[0]}" for name, recipe in RECIPES.items())
    return tyro.cli(
        type(default),
        prog=f"python -m train {default.recipe}",
        description=DESCRIPTION + recipes,
        default=default,
        args=options,
        config=(tyro.conf.SuppressFixed,),
    )

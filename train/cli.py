"""The command line of a training run, parsed into a configuration."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tyro

from train.config import RunConfig
from train.engine import Checkpoint, find_checkpoint
from train.recipes import EMBEDDED, RECIPES, config_of

DESCRIPTION = """Train a classifier on JPEGs that DALI decodes and mixes, or a detector or a captioner on its backbone.

To train and compare all four mixing methods, see python -m train study --help. With --embedded, the recipes voc-… and
coco-… train a small version on scenes of digits, which are generated on first use.

Recipes (the first argument; digits if none is given) set the defaults shown here:
"""


def parse(arguments: Sequence[str]) -> RunConfig:
    """Parse a command line: a recipe's name, or none for ``digits``, and options that change the recipe's defaults.

    With ``--resume`` the options saved in the checkpoint take the place of the recipe's defaults.

    Example::

        >>> config = parse(["digits", "--epochs", "3"])
        >>> config.model, config.epochs
        ('resnet10', 3)

    Raises:
        ValueError, FileNotFoundError: no such recipe or checkpoint, or the options contradict each other.
        SystemExit: an unknown option, an invalid value, or --help; tyro has printed the message.
    """
    config = _from_recipe_or_checkpoint(arguments)
    if config.iterations and any(word.partition("=")[0] == "--epochs" for word in arguments):
        raise ValueError(
            f"--epochs given, but the length of this run is set by --iterations {config.iterations}; change "
            "--iterations, or add --iterations 0 (--milestones are then epochs)."
        )
    return config


def _from_recipe_or_checkpoint(arguments: Sequence[str]) -> RunConfig:
    named = bool(arguments) and not arguments[0].startswith("-")
    recipe, options = (arguments[0], arguments[1:]) if named else ("digits", arguments)
    if recipe not in RECIPES:
        raise ValueError(f"unknown recipe {recipe!r}; choose one of {', '.join(RECIPES)}.")
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--resume", type=Path)
    finder.add_argument("--embedded", action="store_true")
    found, rest = finder.parse_known_args(options)
    resume = found.resume
    if found.embedded:
        if recipe not in EMBEDDED or resume:
            raise ValueError(f"--embedded given; it is only for new runs of {', '.join(EMBEDDED)}.")
        return _parse(rest, EMBEDDED[recipe]())
    if resume is None:
        return _parse(options, RECIPES[recipe]())
    path = find_checkpoint(resume)
    saved = config_of(Checkpoint.load(path).config, path)
    if named and recipe != saved.recipe:
        raise ValueError(
            f"{path} was trained with the recipe {saved.recipe!r}, but {recipe!r} was given; "
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

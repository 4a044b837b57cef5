"""The command ``python -m train [RECIPE] [--options]``."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import tyro

import dali_cutmix as dc
from train.checkpoint import Checkpoint, find
from train.config import Config
from train.distributed import join
from train.loop import fit
from train.preemption import STATUS, Preemption
from train.recipes import RECIPES
from train.run import Run, start

INTERRUPTED = 128 + signal.SIGINT

DESCRIPTION = """Train a classifier on a folder of JPEGs, decoded and mixed by DALI.

Recipes (the first argument; digits if none is given) set the defaults shown here:
"""


def parse(arguments: list[str]) -> Config:
    """The configuration that a command line asks for.

    With ``--resume`` the options that the checkpoint was saved with take the recipe's place.

    Raises:
        ValueError, FileNotFoundError: no such recipe or checkpoint, or a value that is not allowed.
        SystemExit: an option that is not known, or --help.
    """
    named = bool(arguments) and not arguments[0].startswith("-")
    recipe, options = (arguments[0], arguments[1:]) if named else ("digits", arguments)
    if recipe not in RECIPES:
        raise ValueError(f"there is no recipe {recipe!r}; allowed are {', '.join(RECIPES)}.")
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--resume", type=Path)
    resume = finder.parse_known_args(options)[0].resume
    if resume is None:
        return _parse(options, RECIPES[recipe]())
    path = find(resume)
    saved = Config.from_dict(Checkpoint.load(path).config)
    if named and recipe != saved.recipe:
        raise ValueError(
            f"{path} was trained with the recipe {saved.recipe!r}, and {recipe!r} was given; "
            "leave the recipe out: --resume takes it from the checkpoint."
        )
    return _parse(options, dataclasses.replace(saved, output_dir=path.parent, resume=path))


def _parse(options: list[str], default: Config) -> Config:
    recipes = "\n".join(f"  {name:24}{(recipe.__doc__ or '').splitlines()[0]}" for name, recipe in RECIPES.items())
    return tyro.cli(
        Config,
        prog=f"python -m train {default.recipe}",
        description=DESCRIPTION + recipes,
        default=default,
        args=options,
        config=(tyro.conf.SuppressFixed,),
    )


def main() -> None:
    """Train, and print where the results are; whatever ends it before that is told in a plain sentence."""
    with ExitStack() as stack:
        try:
            config = parse(sys.argv[1:])
            ranks = stack.enter_context(join(config.device))
            run = start(config, ranks)
        except (ValueError, OSError) as error:
            sys.exit(f"error: {error}")
        except KeyboardInterrupt:
            print("interrupted before training began", file=sys.stderr)
            sys.exit(INTERRUPTED)
        try:
            with Preemption(ranks) as preemption:
                last = fit(run, preemption)
        except (FloatingPointError, OSError, dc.DecodeError) as error:
            sys.exit(f"error: {error}")
        except KeyboardInterrupt:
            leave("interrupted", run, INTERRUPTED)
        if last is None:
            leave(f"stopped by SIGTERM after step {run.step}", run, STATUS)
        if ranks.is_first:
            print(f"validation top-1 {last['val_top1']:.2f} %; metrics and checkpoints are in {run.folder}")


def leave(why: str, run: Run, status: int) -> NoReturn:
    """End an unfinished run; the first process tells why, and how to go on."""
    if run.ranks.is_first:
        saved = (run.folder / "last.pt").exists()
        how = f"continue with: python -m train --resume {run.folder}" if saved else "it has no checkpoint yet"
        print(f"{why}; {how}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()

"""A tiny folder of classes, a training configuration of a second, commands, and comparisons of runs."""

import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from tests.helpers import ROOT
from train.config.classification import Config
from train.engine.checkpoint import Checkpoint
from train.engine.distributed import Ranks
from train.evaluation.trained_model import choose_weights
from train.models import classifiers
from train.recipes import digits

ALONE = Ranks(rank=0, world_size=1, device=torch.device("cpu"))
COLOURS = {"blue": (40, 60, 200), "green": (50, 180, 60), "red": (200, 50, 40)}
TIMINGS = {"images_per_second", "data_wait_share", "seconds"}


def make_folder(root: Path, train: int = 16, val: int = 3) -> Path:
    """Write noisy JPEGs of one colour for each class: ``root/train`` and ``root/val`` with so many for each."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for name, colour in COLOURS.items():
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                height, width = rng.integers(32, 64, 2)
                noise = rng.normal(0, 60, (height, width, 3))
                pixels = np.clip(np.asarray(colour) + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number}.jpg")
    return root


def quick(data: Path, output: Path, **changes: object) -> Config:
    """A run of a second: three epochs of six steps at 32 pixels."""
    small = replace(digits(), data=data, output_dir=output, size=32, val_resize=32, batch_size=8, device="cpu")
    return replace(small, **{"epochs": 3, "num_threads": 1} | changes)  # type: ignore[arg-type]


def command(
    what: object, *arguments: object, processes: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m WHAT``, or a script WHAT.py, as a user would; under torchrun if ``processes`` are given."""
    module = [] if str(what).endswith(".py") else ["-m"]
    return subprocess.run(
        [sys.executable, *launcher(processes), *module, *map(str, (what, *arguments))],
        env=environment_with(**environment),
        capture_output=True,
        text=True,
        timeout=240,
    )


def launcher(processes: int) -> list[str]:
    """torchrun's place on a command line; none for 0 processes."""
    return ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes else []


def environment_with(**changes: str) -> dict[str, str]:
    """This process's environment, able to import the checkout, with one thread for arithmetic."""
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""} | changes


def load_model(checkpoint: Checkpoint, path: Path, weights: str) -> tuple[nn.Module, str]:
    """A classifier of a checkpoint, and which of its weights it carries."""
    model = classifiers.build(checkpoint.config["model"], len(checkpoint.classes))
    return model, choose_weights(model, checkpoint, path, weights)


def same(left: object, right: object) -> bool:
    """Whether two nested states are equal, tensors bit for bit."""
    if isinstance(left, torch.Tensor):
        return isinstance(right, torch.Tensor) and torch.equal(left, right)
    if isinstance(left, dict):
        return isinstance(right, dict) and left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple):
        return isinstance(right, list | tuple) and len(left) == len(right) and all(map(same, left, right))
    return left == right


def assert_same_result(left: Path, right: Path) -> None:
    """Two checkpoints hold the same weights, optimizer state, loader state and metrics, timings apart."""
    a, b = (torch.load(path, weights_only=True) for path in (left, right))
    for name in ("step", "epoch", "model", "ema", "optimizer", "ranks", "classes"):
        assert same(a[name], b[name]), f"{name} differs"
    histories = [[{k: v for k, v in row.items() if k not in TIMINGS} for row in x["history"]] for x in (a, b)]
    assert histories[0] == histories[1]


def rows(folder: Path) -> list[dict[str, str]]:
    """metrics.csv of a run, timings apart."""
    with (folder / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in TIMINGS} for row in csv.DictReader(file)]

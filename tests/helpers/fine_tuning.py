"""Small scenes, quick configurations and a first step of training, for detection and captioning."""

from dataclasses import replace
from pathlib import Path

import torch

from pipelines import voc
from tests.helpers.training import ALONE
from train.config.run import RunConfig
from train.data.scene_drawing import Scenes
from train.data.scenes import scenes_coco, scenes_voc
from train.engine.loop import fit
from train.launch import start
from train.recipes import EMBEDDED
from train.tasks.captioning.task import write_captions
from train.tasks.detection.task import detect

FEW = Scenes(train=24, val=10, side=(64, 80), digit=(0.3, 0.5))
KINDS = {"voc-ssd300": "voc", "voc-faster-rcnn": "voc", "coco-nic": "coco"}
"""Layout of the data that each recipe trains on."""


def make_scenes(parent: Path) -> dict[str, Path]:
    """Small scenes in both layouts, by what they are for."""
    return {"voc": scenes_voc(parent, FEW), "coco": scenes_coco(parent, FEW)}


def quickly(name: str, data: Path, output: Path, **changes: object) -> RunConfig:
    """A recipe's small version for two epochs of a few steps."""
    small = {"data": data, "output_dir": output, "device": "cpu", "num_threads": 1, "cpu_threads": 1}
    small |= {"epochs": 2, "batch_size": 8, "warmup_epochs": 0, "val_every": 1, "ema": 0.0}
    own = {
        "voc-ssd300": {"size": 64},
        "voc-faster-rcnn": {"short_side": 64, "long_side": 100, "proposals": (20, 10), "regions": 8},
        "coco-nic": {"size": 48, "resize": 50, "hidden": 32, "beam": 2, "min_count": 1},
    }[name]
    return replace(EMBEDDED[name](), **small | own | changes)  # type: ignore[arg-type]


def step_and_detections(scenes: Path, folder: Path, name: str, **changes: object) -> None:
    """A step of training, then what is found in each image: within it, of a class."""
    config = quickly(name, scenes, folder, epochs=1, iterations=1, **changes)
    run = start(config, replace(ALONE, device=torch.device(config.device)))
    row = fit(run)
    assert row["train_loss"] > 0
    annotated = voc.read(scenes, "val")
    found = detect(run.evaluated, run.task.val_loader, annotated, run.ranks, config.amp)
    assert len(found) == 10
    for one, size in zip(found, annotated.sizes, strict=True):
        assert (one.boxes >= 0).all()
        assert (one.boxes[:, [3, 2]] <= size + 1e-3).all()
        assert ((one.labels >= 0) & (one.labels < 10)).all()


def step_and_captions(scenes: Path, folder: Path, **changes: object) -> None:
    """A step of training, then a caption for each image."""
    config = quickly("coco-nic", scenes, folder, epochs=1, iterations=1, **changes)
    run = start(config, replace(ALONE, device=torch.device(config.device)))
    row = fit(run)
    assert row["train_loss"] > 0
    written = write_captions(run.evaluated, run.task.val_loader, run.task._words, config, run.ranks)
    assert sorted(written) == list(range(10))

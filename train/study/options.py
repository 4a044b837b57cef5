"""Options of a study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from train.study.published import METHODS, Method

Transfer = Literal["voc-ssd300", "voc-faster-rcnn", "coco-nic"]


@dataclass(frozen=True)
class StudyOptions:
    """Train without mixing, with Mixup, Cutout and CutMix from the same seeds, evaluate all, write one report.

    What stands behind -- goes to every training (see python -m train RECIPE --help), for example: python -m train study
    digits --seeds 5 -- --epochs 20. Mixup and Cutout change every batch, as they were published, CutMix as many as the
    recipe says, unless --mix-probability stands there. A study that was stopped goes on when the same command is run
    again.
    """

    recipe: tyro.conf.Positional[str] = "digits"
    """Recipe of the trainings."""
    data: Path | None = None
    """What the trainings take; the embedded digits if not given."""
    ood: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=DIR")] = ()
    """Out-of-distribution sets: a name and a folder of images each, beside noise; with the embedded digits scenes
    without a digit if not given. Names of which the paper has numbers: tinyimagenet-crop, tinyimagenet-resize,
    lsun-crop, lsun-resize, isun."""
    boxes: Path | None = None
    """Of the validation images, see python -m train.evaluate localization; without any there is no localization."""
    methods: tuple[Method, ...] = METHODS
    """Which methods."""
    seeds: int = 3
    """Trainings of each method, with the seeds 0, 1, …"""
    steps: int = 15
    """Robustness: hole sizes."""
    noise_images: int = 10_000
    """Uncertainty: images of noise."""
    transfer: tuple[Transfer, ...] = ()
    """Fine-tune every classifier by these recipes too, and for comparison a random network."""
    transfer_data: Annotated[tuple[str, ...], tyro.conf.arg(metavar="RECIPE=DIR")] = ()
    """What they take; their --embedded version on embedded scenes if not given. The classifiers must be of the same
    network: resnet50, and of the embedded versions resnet10."""
    output: Path | None = None
    """Folder for trainings and report; runs/study-RECIPE if not given."""
    jobs: int | None = None
    """Trainings at once; if not given, one on a GPU, as many on a CPU as the recipe's cpu-threads leave cores for."""
    processes: int = 1
    """Processes of each training, by torchrun."""
    device: str = "auto"
    """cpu, cuda, cuda:N, or auto: the GPU if there is one."""

    def __post_init__(self) -> None:
        for name, least in (("seeds", 1), ("processes", 1), ("steps", 2), ("noise_images", 1)):
            if (value := getattr(self, name)) < least:
                raise ValueError(f"--{name.replace('_', '-')} {value} given; it must be at least {least}.")
        if not self.methods or len(set(self.methods)) < len(self.methods):
            raise ValueError(f"--methods {' '.join(self.methods)} given; name each once, of {', '.join(METHODS)}.")
        if len(set(self.transfer)) < len(self.transfer):
            raise ValueError(f"--transfer {' '.join(self.transfer)} given; name each recipe once.")
        for text in self.transfer_data:
            if text.partition("=")[0] not in self.transfer or not text.partition("=")[2]:
                raise ValueError(f"--transfer-data {text} given; wanted is RECIPE=DIR, the recipe one of --transfer.")
        if self.jobs is not None and self.jobs < 1:
            raise ValueError(f"--jobs {self.jobs} given; it must be at least 1.")

    @property
    def folder(self) -> Path:
        """Where everything is written."""
        return self.output or Path("runs") / f"study-{self.recipe}"


CHANGEABLE_ON_RERUN = {"output", "jobs", "device"}
"""Options that may differ when a study goes on."""

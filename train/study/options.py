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
    """Train without mixing, with Mixup, Cutout and CutMix from the same seeds, evaluate all, and write one report.

    Options after -- are passed to every training (see python -m train RECIPE --help), for example: python -m train
    study digits --seeds 5 -- --epochs 20. Mixup and Cutout are applied to every batch, as published, CutMix with the
    recipe's probability, unless --mix-probability is passed. To continue a study that was stopped, run the same command
    again.
    """

    recipe: tyro.conf.Positional[str] = "digits"
    """Recipe of the trainings."""
    data: Path | None = None
    """Data of the trainings; the embedded digits if not given."""
    ood: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=DIR")] = ()
    """Out-of-distribution sets besides noise: a name and a folder of images each. If not given, with the embedded
    digits: scenes without a digit. The paper has numbers for the names tinyimagenet-crop, tinyimagenet-resize,
    lsun-crop, lsun-resize and isun."""
    boxes: Path | None = None
    """Boxes of the validation images, see python -m train.evaluate localization; without boxes, localization is not
    evaluated."""
    methods: tuple[Method, ...] = METHODS
    """Methods to compare."""
    seeds: int = 3
    """Number of trainings of each method, with the seeds 0, 1, …"""
    steps: int = 15
    """Robustness: number of hole sizes."""
    noise_images: int = 10_000
    """Uncertainty: number of noise images."""
    transfer: tuple[Transfer, ...] = ()
    """Recipes by which to fine-tune every classifier and, for comparison, a random network."""
    transfer_data: Annotated[tuple[str, ...], tyro.conf.arg(metavar="RECIPE=DIR")] = ()
    """Data of these recipes; if not given, their --embedded versions on embedded scenes. The classifiers must be of the
    recipe's network: resnet50, or resnet10 for the embedded versions."""
    output: Path | None = None
    """Folder of the trainings and the report; runs/study-RECIPE if not given."""
    jobs: int | None = None
    """Number of trainings at once; if not given, one on a GPU, and on a CPU as many as the recipe's cpu-threads
    allow."""
    processes: int = 1
    """Processes of each training, started by torchrun."""
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
                raise ValueError(f"--transfer-data {text} given; expected RECIPE=DIR, the recipe one of --transfer.")
        if self.jobs is not None and self.jobs < 1:
            raise ValueError(f"--jobs {self.jobs} given; it must be at least 1.")

    @property
    def folder(self) -> Path:
        """Folder of the study."""
        return self.output or Path("runs") / f"study-{self.recipe}"


CHANGEABLE_ON_RERUN = {"output", "jobs", "device"}
"""Options that may differ when a study is continued."""

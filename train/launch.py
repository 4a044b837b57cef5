"""Set-up of a run from its configuration: task, model, optimizer, schedule, and the folder that it writes to."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from train.config import PATHS, RunConfig
from train.engine import Ema, Ranks, Run, Schedule, digest_of_file, find_checkpoint
from train.tasks import make_task

OF_EACH_MACHINE = {"device", "num_threads", "cpu_threads"}
"""Options that may differ between the processes of a run."""


def start(config: RunConfig, ranks: Ranks) -> Run:
    """Set up a run: make its folder, task and model, and load the checkpoint ``config.resume`` if one is given.

    For an example, see `train.engine.fit`.

    Raises:
        ValueError, FileNotFoundError: the options or the data are wrong, or processes have different ones; nothing has
            been trained yet.
        OSError: the run's folder cannot be written.
    """
    folder = ranks.gather(run_folder(config))[0]  # the default name holds the time, on which processes may differ
    task = make_task(config, ranks, folder)
    ranks.check_same({"training": task.loader, "validation": task.val_loader}, also=common_options(config))

    # cuDNN's search for the fastest kernels pays off only if all images have one size: it starts anew for each size.
    torch.backends.cudnn.benchmark = task.fixed_shapes
    if config.cpu_threads:
        torch.set_num_threads(config.cpu_threads)
    torch.manual_seed(config.seed)
    model = task.model().to(ranks.device)
    if config.channels_last:
        model = model.to(memory_format=torch.channels_last)
    with ranks.meeting.peers.waiting():
        forward = DistributedDataParallel(model) if ranks.world_size > 1 else model
    torch.manual_seed(config.seed + ranks.rank)  # dropout differs between processes
    run = Run(
        config=config,
        ranks=ranks,
        task=task,
        model=model,
        forward=torch.compile(forward) if config.compile else forward,
        ema=Ema(model, config.ema) if config.ema else None,
        optimizer=make_optimizer(config, task.groups(model)),
        schedule=Schedule.from_config(config, len(task.loader)),
        folder=folder,
        loss_sum=torch.zeros((), dtype=torch.float64, device=ranks.device),
    )
    if config.resume:
        run.restore(config.resume)
        if ranks.world_size > 1:
            ranks.check_same({"training": task.loader}, also={"checkpoint": digest_of_file(config.resume)})
    if ranks.is_first:
        run.folder.mkdir(parents=True, exist_ok=True)
    return run


def common_options(config: RunConfig) -> dict[str, object]:
    """The options that all processes must have in common; of paths, which may differ between machines, only whether."""
    fields = config.to_dict()
    return {
        f"--{name.replace('_', '-')}": value if name not in PATHS else value and "given"
        for name, value in fields.items()
        if name not in OF_EACH_MACHINE
    }


def make_optimizer(config: RunConfig, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Make the optimizer that ``--optimizer`` names, for parameter groups with their ``lr_scale``."""
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, config.lr, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        groups, config.lr, config.momentum, weight_decay=config.weight_decay, nesterov=config.nesterov
    )


def run_folder(config: RunConfig) -> Path:
    """The folder that the run writes to: ``output_dir``, the resumed run's folder, or a new one named by the time.

    Raises:
        ValueError: ``output_dir`` holds another run.
    """
    resumed = find_checkpoint(config.resume).parent if config.resume else None
    if config.output_dir is None:
        return resumed or Path("runs") / f"{config.recipe}-{time.strftime('%Y%m%d-%H%M%S')}"
    if (config.output_dir / "last.pt").exists() and config.output_dir.resolve() != (resumed and resumed.resolve()):
        raise ValueError(
            f"--output-dir {config.output_dir} already holds a run; continue it with --resume {config.output_dir}, "
            "or give another folder."
        )
    return config.output_dir

"""A run: everything that the loop moves, how it is set up, saved and continued."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import dali_cutmix as dc
from train.config.run import RunConfig
from train.engine.checkpoint import Checkpoint, find
from train.engine.continuation import check_continues, check_end
from train.engine.distributed import Ranks
from train.engine.ema import Ema
from train.engine.metrics_log import Row
from train.engine.schedule import Schedule
from train.engine.task import Task
from train.tasks.registry import make_task


@dataclass
class Run:
    """All that changes while training, and what changes it."""

    config: RunConfig
    ranks: Ranks
    task: Task
    model: nn.Module
    forward: Callable[..., Any]
    """The model as the loop calls it: in DistributedDataParallel, compiled, or itself."""
    ema: Ema | None
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    folder: Path
    loss_sum: Tensor
    """Of this process, in this epoch so far; it stays on the device."""
    step: int = 0
    history: list[Row] = field(default_factory=list)

    @property
    def loader(self) -> dc.Loader:
        """Training batches."""
        return self.task.loader

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.config.steps(len(self.loader))

    @property
    def epoch(self) -> int:
        """Complete epochs."""
        return self.step // len(self.loader)

    @property
    def evaluated(self) -> nn.Module:
        """The model that validation measures: the averaged one, if there is one."""
        return self.ema.model if self.ema else self.model

    def synchronize(self) -> None:
        """Give all processes the first one's batch norm statistics, which the checkpoint holds."""
        for model in (self.model, self.ema.model if self.ema else None):
            if model:
                self.ranks.copy_from_first(list(model.buffers()))

    def save(self, *names: str) -> None:
        """Write the checkpoint under these names in the run's folder (all processes must call this).

        Raises:
            OSError: it could not be written; the files that were there are intact.
        """
        mine = {"loader": self.loader.state_dict(), "loss_sum": self.loss_sum.cpu(), "rng": _rng(self.ranks.device)}
        of_all = self.ranks.gather(mine)

        def write() -> None:
            checkpoint = Checkpoint(
                config=self.config.to_dict(),
                classes=list(self.task.classes),
                epoch=self.epoch,
                step=self.step,
                model=self.model.state_dict(),
                ema=self.ema.model.state_dict() if self.ema else None,
                optimizer=self.optimizer.state_dict(),
                ranks=of_all,
                history=self.history,
                origin=self.task.origin,
            )
            for name in names:
                checkpoint.save(self.folder / name)

        self.ranks.by_first(write)

    def restore(self, path: Path) -> None:
        """Continue from a checkpoint, exactly.

        Raises:
            ValueError: it belongs to another run; both values are named.
        """
        path = find(path)
        saved = Checkpoint.load(path)
        check_continues(path, saved, self)
        try:
            self.model.load_state_dict(saved.model)
            if self.ema and saved.ema:
                self.ema.model.load_state_dict(saved.ema)
            self.optimizer.load_state_dict(saved.optimizer)
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{path} does not fit the model {self.config.model!r}: {error}") from error
        mine = saved.ranks[self.ranks.rank]
        self.loader.load_state_dict(mine["loader"])  # refuses other data, on which the end depends
        check_end(path, saved, self)
        self.loss_sum.copy_(mine["loss_sum"])
        _set_rng(mine["rng"], self.ranks.device)
        self.step, self.history, self.task.origin = saved.step, saved.history, saved.origin


def start(config: RunConfig, ranks: Ranks) -> Run:
    """Set everything up, continue from ``config.resume`` if given, and make the run's folder.

    Raises:
        ValueError, FileNotFoundError: the options or the data are wrong; nothing has been trained then.
        OSError: the run's folder cannot be written.
    """
    folder = ranks.gather(run_folder(config))[0]  # processes may see different times
    task = make_task(config, ranks, folder)

    # Where images are all of one size, the search for the best kernels pays; else each new size would begin another.
    torch.backends.cudnn.benchmark = task.fixed_shapes
    if config.cpu_threads:
        torch.set_num_threads(config.cpu_threads)
    torch.manual_seed(config.seed)
    model = task.model().to(ranks.device)
    if config.channels_last:
        model = model.to(memory_format=torch.channels_last)
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
        schedule=Schedule.of(config, len(task.loader)),
        folder=folder,
        loss_sum=torch.zeros((), dtype=torch.float64, device=ranks.device),
    )
    if config.resume:
        run.restore(config.resume)
    if ranks.is_first:
        run.folder.mkdir(parents=True, exist_ok=True)
    return run


def make_optimizer(config: RunConfig, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimizer that the options name."""
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, config.lr, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        groups, config.lr, config.momentum, weight_decay=config.weight_decay, nesterov=config.nesterov
    )


def run_folder(config: RunConfig) -> Path:
    """Where the run writes: ``output_dir``, the folder of the run that is continued, or a new one by the time.

    Raises:
        ValueError: ``output_dir`` holds another run.
    """
    resumed = find(config.resume).parent if config.resume else None
    if config.output_dir is None:
        return resumed or Path("runs") / f"{config.recipe}-{time.strftime('%Y%m%d-%H%M%S')}"
    if (config.output_dir / "last.pt").exists() and config.output_dir.resolve() != (resumed and resumed.resolve()):
        raise ValueError(
            f"--output-dir {config.output_dir} holds a run already; continue it with --resume {config.output_dir}, "
            "or give another folder."
        )
    return config.output_dir


def _rng(device: torch.device) -> dict[str, Tensor]:
    cuda = {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    return {"cpu": torch.get_rng_state(), **cuda}


def _set_rng(state: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)

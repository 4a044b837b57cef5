"""A training run: its state, and how it is saved to a checkpoint and restored from one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import dali_cutmix as dc
from train.config import RunConfig
from train.engine.checkpoint import Checkpoint, find_checkpoint
from train.engine.checkpoint_fit import check_rank, check_weights, fitting_state
from train.engine.distributed import Ranks
from train.engine.ema import Ema
from train.engine.metrics_log import Row
from train.engine.resume import check_end, check_progress, check_resumable
from train.engine.schedule import Schedule
from train.engine.task import Task


@dataclass
class Run:
    """The state of a training run on this process, and what changes it; `train.launch.start` makes one.

    Steps are counted over the whole run, epochs follow from them (here 3 steps per epoch)::

        step      0   1   2 │ 3   4   5 │ 6
        epoch     0   0   0 │ 1   1   1 │ 2      complete epochs

    Example::

        run.save("last.pt")  # all processes call this
        run.restore(run.folder)  # exactly the same state: model, optimizer, loader, random numbers
    """

    config: RunConfig
    ranks: Ranks
    task: Task
    model: nn.Module
    forward: Callable[..., Any]
    """The model as the loop calls it: itself, in DistributedDataParallel, or compiled."""
    ema: Ema | None
    """The averaged weights, if there are any."""
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    folder: Path
    """Folder of checkpoints and metrics."""
    loss_sum: Tensor
    """Sum of this process's losses in this epoch so far; it stays on the device."""
    step: int = 0
    """Number of steps done."""
    history: list[Row] = field(default_factory=list)
    """Rows of metrics.csv, one per complete epoch."""

    @property
    def loader(self) -> dc.Loader:
        """Training batches."""
        return self.task.loader

    @property
    def total(self) -> int:
        """Number of steps of the whole run."""
        return self.config.steps(len(self.loader))

    @property
    def epoch(self) -> int:
        """Number of complete epochs."""
        return self.step // len(self.loader)

    @property
    def evaluated(self) -> nn.Module:
        """The model that is validated: the averaged one, if there is one."""
        return self.ema.model if self.ema else self.model

    def synchronize(self) -> None:
        """Copy the first process's batch norm statistics, which the checkpoint holds, to all processes."""
        for model in (self.model, self.ema.model if self.ema else None):
            if model:
                self.ranks.broadcast_from_first(list(model.buffers()))

    def save(self, *names: str) -> None:
        """Write the checkpoint under these names in the run's folder; all processes must call this.

        Raises:
            OSError: it cannot be written; the file of that name and those of later names are unchanged.
        """
        self.ranks.enter(f"saving after step {self.step}")
        mine = {"loader": self.loader.state_dict(), "loss_sum": self.loss_sum.cpu(), "rng": _rng(self.ranks.device)}
        all_ranks = self.ranks.gather(mine)

        def write() -> None:
            checkpoint = Checkpoint(
                config=self.config.to_dict(),
                classes=list(self.task.classes),
                epoch=self.epoch,
                step=self.step,
                model=self.model.state_dict(),
                ema=self.ema.model.state_dict() if self.ema else None,
                optimizer=self.optimizer.state_dict(),
                ranks=all_ranks,
                history=self.history,
                origin=self.task.origin,
            )
            for name in names:
                checkpoint.save(self.folder / name)

        self.ranks.run_on_first(write)

    def restore(self, path: Path) -> None:
        """Load the exact state that a checkpoint holds; if it is refused, nothing has changed.

        Raises:
            FileNotFoundError: there is no such checkpoint.
            ValueError: it belongs to a run with other options, classes or data; the message gives both values. Or it is
                damaged.
        """
        path = find_checkpoint(path)
        saved = Checkpoint.load(path)
        check_resumable(path, saved, self.config, self.ranks.world_size)
        try:
            self.task.check_classes(saved.classes)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        try:
            check_weights(saved.model, self.model)
            if self.ema:
                check_weights(saved.ema or {}, self.ema.model)
            optimizer = fitting_state(saved.optimizer, self.optimizer)
        except ValueError as error:
            raise ValueError(f"{path} does not fit the model {self.config.model!r}: {error}.") from error
        mine = saved.ranks[self.ranks.rank]
        before = self.loader.state_dict()
        try:
            for rank in saved.ranks:  # of all: no process goes on while another one refuses its own
                check_rank(rank, self.ranks.device)
            self.loader.load_state_dict(mine["loader"])  # refuses other data; the run's end depends on their number
        except ValueError as error:
            raise ValueError(f"{path} cannot be continued: {error}") from error
        try:
            check_progress(path, saved, mine["loader"], len(self.loader), self.task.metrics)
            check_end(path, saved, self.config, len(self.loader))
        except ValueError:
            self.loader.load_state_dict(before)
            raise
        # Nothing that follows can fail: all of it was checked.
        self.model.load_state_dict(saved.model)
        if self.ema and saved.ema:
            self.ema.model.load_state_dict(saved.ema)
        self.optimizer.load_state_dict(optimizer)
        self.loss_sum.copy_(mine["loss_sum"])
        _set_rng(mine["rng"], self.ranks.device)
        self.step, self.history, self.task.origin = saved.step, saved.history, saved.origin


def _rng(device: torch.device) -> dict[str, Tensor]:
    cuda = {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    return {"cpu": torch.get_rng_state(), **cuda}


def _set_rng(state: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)

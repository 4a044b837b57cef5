"""What a checkpoint may be continued as."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from train.engine.checkpoint import Checkpoint

if TYPE_CHECKING:
    from train.engine.run import Run

FREE = {"epochs", "iterations", "data", "output_dir", "resume", "log_every", "checkpoint_every"}
FREE |= {"val_every", "on_error", "max_bad", "device", "num_threads", "cpu_threads", "compile"}
"""Options that may differ between a checkpoint and its continuation; whatever else differs is refused."""


def check_continues(path: Path, saved: Checkpoint, run: Run) -> None:
    """Refuse to continue ``saved`` as something else than it was.

    Raises:
        ValueError: options, number of processes or classes differ.
    """
    here, there = run.config.to_dict(), type(run.config).from_dict(saved.config).to_dict()
    pairs = {f"--{name.replace('_', '-')}": (there[name], here[name]) for name in here if name not in FREE}
    if bool(here["iterations"]) != bool(there["iterations"]):  # milestones would mean something else
        pairs["--iterations"] = (there["iterations"], here["iterations"])
    pairs["number of processes"] = (len(saved.ranks), run.ranks.world_size)
    different = [f"{name}: {old} saved, {new} given" for name, (old, new) in pairs.items() if old != new]
    if different:
        raise ValueError(
            f"{path} cannot be continued with other settings ({'; '.join(different)}); give those that were saved, "
            "or start a new run without --resume."
        )
    run.task.check_classes(saved.classes)


def check_end(path: Path, saved: Checkpoint, run: Run) -> None:
    """Refuse an end that lies before where ``saved`` stands, or there within an epoch, which then had no validation.

    Raises:
        ValueError: it does.
    """
    epochs = -(-saved.step // len(run.loader))
    in_epoch = not saved.history or saved.history[-1]["epoch"] < epochs
    if saved.step > run.total or (saved.step == run.total and in_epoch):
        end = f"--iterations {run.config.iterations}" if run.config.iterations else f"--epochs {run.config.epochs}"
        raise ValueError(
            f"{path} stands at step {saved.step}{' within an epoch' if in_epoch else ''}, and {end} given, {run.total} "
            "steps in all; give more."
        )

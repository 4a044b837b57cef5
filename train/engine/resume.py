"""Whether a run may continue from a checkpoint: same options, same number of processes, and an end that lies ahead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from train.config import RunConfig
from train.engine.checkpoint import Checkpoint
from train.engine.metrics_log import columns

CHANGEABLE_ON_RESUME = {
    *("epochs", "iterations", "data", "output_dir", "resume", "log_every", "checkpoint_every", "val_every"),
    *("timeout", "on_error", "max_bad", "retry", "device", "num_threads", "cpu_threads", "compile"),
}
"""Options that may differ between a checkpoint and its continuation; a difference in any other is refused."""


def check_resumable(path: Path, saved: Checkpoint, config: RunConfig, world_size: int) -> None:
    """Refuse to continue a checkpoint with other settings than it was trained with.

    Args:
        path: the checkpoint's file, for the message.
        saved: its content.
        config: options of the continuation.
        world_size: its number of processes.

    Raises:
        ValueError: options or the number of processes differ; the message gives both values.
    """
    try:
        new, old = config.to_dict(), type(config).from_dict(saved.config).to_dict()
    except ValueError as error:
        raise ValueError(f"{path}: a damaged checkpoint ({error})") from error
    settings = {
        f"--{name.replace('_', '-')}": (old[name], new[name]) for name in new if name not in CHANGEABLE_ON_RESUME
    }
    if bool(new["iterations"]) != bool(old["iterations"]):  # --milestones would change their unit
        settings["--iterations"] = (old["iterations"], new["iterations"])
    settings["number of processes"] = (len(saved.ranks), world_size)
    different = [f"{name}: {before} saved, {now} given" for name, (before, now) in settings.items() if before != now]
    if different:
        raise ValueError(
            f"{path} cannot be continued with other settings ({'; '.join(different)}); give those that were saved, "
            "or start a new run without --resume."
        )


def check_progress(
    path: Path, saved: Checkpoint, loader: dict[str, Any], steps_per_epoch: int, metrics: tuple[str, ...]
) -> None:
    """Refuse a checkpoint whose step, epoch, rows of metrics and loader do not stand at the same place.

    Args:
        path, saved: see `check_resumable`.
        loader: the loader's state in it.
        steps_per_epoch: batches of the training loader.
        metrics: names of the task's metrics.

    Raises:
        ValueError: one of them was changed.
    """
    delivered = loader["epoch"] * steps_per_epoch + loader["batch"]
    epochs = [row["epoch"] for row in saved.history]
    if (saved.epoch, saved.step) != (saved.step // steps_per_epoch, delivered):
        wrong = f"step {saved.step} in epoch {saved.epoch}, but its loader delivered {delivered} batches"
    elif epochs != [*range(1, len(epochs) + 1)] or len(epochs) > -(-saved.step // steps_per_epoch):
        wrong = f"its history has the epochs {epochs[:10]}, but it is at step {saved.step}"
    elif unknown := {name for row in saved.history for name in row} - {*columns(metrics)}:
        wrong = f"its history has a column {unknown.pop()!r}"
    else:
        return
    raise ValueError(f"{path}: a damaged checkpoint ({wrong}); give another one, such as best.pt.")


def check_end(path: Path, saved: Checkpoint, config: RunConfig, steps_per_epoch: int) -> None:
    """Refuse a run that would end before its checkpoint, or at it in the middle of an epoch.

    A checkpoint from the middle of an epoch has no validation; the run needs at least one more step to get one.

    Args:
        path, saved, config: see `check_resumable`.
        steps_per_epoch: batches of the training loader.

    Raises:
        ValueError: --epochs or --iterations is too small.
    """
    total = config.steps(steps_per_epoch)
    epochs = -(-saved.step // steps_per_epoch)
    in_epoch = not saved.history or saved.history[-1]["epoch"] < epochs
    if saved.step > total or (saved.step == total and in_epoch):
        end = f"--iterations {config.iterations}" if config.iterations else f"--epochs {config.epochs}"
        raise ValueError(
            f"{path} is at step {saved.step}{' within an epoch' if in_epoch else ''}, but {end} ends the run after "
            f"{total} steps; give more."
        )

"""Metrics of a run, for people: metrics.csv, TensorBoard events, and one printed line per epoch."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from dali_cutmix.utils import write_atomically
from train.reporting import to_csv

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Row = dict[str, float]
"""An epoch's row of metrics.csv: values by the names of `columns`."""


def columns(metrics: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the columns of metrics.csv, in order.

    ``lr`` is the learning rate of the epoch's last step, ``train_loss`` the mean loss of its steps. The task's metrics
    are in percent, except ``val_loss`` (the mean over the images); they are empty for an epoch without validation.
    ``seconds`` includes validation, ``images_per_second`` does not.

    Args:
        metrics: names of the task's metrics.
    """
    return ("epoch", "lr", "train_loss", *metrics, "images_per_second", "data_wait_share", "seconds")


class MetricsLog:
    """Writer of the metrics; it writes on the first process and does nothing on the others.

    The rows are kept in the checkpoint, and metrics.csv is rewritten from them, so a resumed run has each epoch exactly
    once, wherever it was interrupted. Events are flushed immediately, and TensorBoard hides those that were logged
    after the checkpoint from which the run was resumed.

    Args:
        folder: the run's folder.
        step: number of steps done so far.
        active: whether this process writes.
        metrics: names of the task's metrics.
    """

    def __init__(self, folder: Path, step: int, active: bool, metrics: tuple[str, ...] = ()) -> None:
        self._path = folder / "metrics.csv"
        self._columns = columns(metrics)
        self._events: SummaryWriter | None = None
        self._print_other = threading.excepthook
        if active:
            from torch.utils.tensorboard import SummaryWriter  # slow to import; evaluations and GPU tests do without it

            threading.excepthook = self._print_error
            self._events = SummaryWriter(str(folder), purge_step=step + 1)

    def step(self, step: int, values: Row) -> None:
        """Log values by name, after ``step`` steps.

        Raises:
            OSError: the events cannot be written.
        """
        if self._events:
            try:
                for name, value in values.items():
                    self._events.add_scalar(name, value, step)
                self._events.flush()
            except OSError as error:  # it does not name the file
                raise OSError(
                    error.errno, f"TensorBoard's events could not be written ({error.strerror})", str(self._path.parent)
                ) from error

    def epoch(self, step: int, row: Row, epochs: int, metrics: str) -> None:
        """Log and print a complete epoch; ``metrics`` describes its validation in words."""
        if self._events:
            self.step(step, {f"epoch/{name}": value for name, value in row.items() if name != "epoch"})
            tqdm.write(
                f"epoch {row['epoch']:.0f}/{epochs}  train loss {row['train_loss']:.3f}  {metrics}  "
                f"{row['images_per_second']:.0f} images/s, {row['data_wait_share']:.0%} of the time waiting for data  "
                f"{row['seconds']:.1f} s"
            )

    def table(self, rows: list[Row]) -> None:
        """Rewrite metrics.csv."""
        if self._events:
            write_atomically(self._path, to_csv(self._columns, rows))

    def close(self) -> None:
        """Close the event file."""
        if self._events:
            self._events.close()
            threading.excepthook = self._print_other

    def _print_error(self, what: threading.ExceptHookArgs) -> None:
        """Print no traceback where TensorBoard's thread cannot write: the next call of its writer raises that error."""
        if not (isinstance(what.exc_value, OSError) and type(what.thread).__module__.startswith("tensorboard.")):
            self._print_other(what)

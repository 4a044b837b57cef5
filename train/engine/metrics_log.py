"""What a run leaves behind for reading: metrics.csv, TensorBoard events, one printed line for each epoch."""

from __future__ import annotations

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from dali_cutmix.utils import write_atomically
from train.reporting import to_csv

Row = dict[str, float]


def columns(metrics: tuple[str, ...]) -> tuple[str, ...]:
    """Names of metrics.csv's columns, in order; ``metrics`` are those of the task.

    ``lr`` is that of the epoch's last step, ``train_loss`` the mean of its steps' losses, as the task counts them; a
    task's metrics are in percent, but for ``val_loss`` (the mean over images), and empty where an epoch was not
    validated; ``images_per_second`` leaves validation out; ``seconds`` has it in.
    """
    return ("epoch", "lr", "train_loss", *metrics, "images_per_second", "data_wait_share", "seconds")


class MetricsLog:
    """Writes for the first process, and nothing for the others.

    The rows live in the checkpoint and metrics.csv is a view of them, so a resumed run has each epoch once,
    wherever the run before was cut off. Events are written out at once, and TensorBoard hides those that the run
    before logged after its checkpoint.

    Args:
        folder: of the run.
        step: steps done so far.
        active: whether this process is the one that writes.
        metrics: names of the validation's.
    """

    def __init__(self, folder: Path, step: int, active: bool, metrics: tuple[str, ...] = ()) -> None:
        self._path = folder / "metrics.csv"
        self._columns = columns(metrics)
        self._events = SummaryWriter(str(folder), purge_step=step + 1) if active else None

    def step(self, step: int, values: Row) -> None:
        """Log single values, named by what they are, after ``step`` steps.

        Raises:
            OSError: they could not be written.
        """
        if self._events:
            try:
                for name, value in values.items():
                    self._events.add_scalar(name, value, step)
                self._events.flush()
            except OSError as error:  # without a file's name
                raise OSError(
                    error.errno, f"TensorBoard's events could not be written ({error.strerror})", str(self._path.parent)
                ) from error

    def epoch(self, step: int, row: Row, epochs: int, metrics: str) -> None:
        """Log and print a complete epoch; ``metrics``: the validation's, in words."""
        if self._events:
            self.step(step, {f"epoch/{name}": value for name, value in row.items() if name != "epoch"})
            tqdm.write(
                f"epoch {row['epoch']:.0f}/{epochs}  train loss {row['train_loss']:.3f}  {metrics}  "
                f"{row['images_per_second']:.0f} images/s, {row['data_wait_share']:.0%} of the time waiting for data  "
                f"{row['seconds']:.1f} s"
            )

    def table(self, rows: list[Row]) -> None:
        """Replace metrics.csv."""
        if self._events:
            write_atomically(self._path, to_csv(self._columns, rows))

    def close(self) -> None:
        """Write out what is buffered."""
        if self._events:
            self._events.close()

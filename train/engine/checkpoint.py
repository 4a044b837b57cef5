"""Checkpoints: all that a run needs to continue exactly, and all that an evaluator needs, in one file."""

from __future__ import annotations

import dataclasses
import errno
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dali_cutmix.utils import write_atomically

VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after ``step`` steps: tensors and plain values only, so that loading it runs no code.

    Example::

        checkpoint = Checkpoint.load(Path("runs/digits"))  # or runs/digits/best.pt
        print(checkpoint.epoch, checkpoint.config["model"], checkpoint.classes[:3])
    """

    config: dict[str, Any]
    """The task's configuration, as `train.config.RunConfig.to_dict` gives it."""
    classes: list[str]
    """Meanings of the model's outputs, in their order: names of classes, or a captioner's vocabulary."""
    epoch: int
    """Number of complete epochs."""
    step: int
    """Number of steps since the start of the run."""
    model: dict[str, Any]
    """State_dict of the model, without the prefixes of wrappers."""
    ema: dict[str, Any] | None
    """State_dict of the averaged model, if there is one."""
    optimizer: dict[str, Any]
    """State_dict of the optimizer."""
    ranks: list[dict[str, Any]]
    """State of each process: its loader, its random number generators, its sum of losses in this epoch."""
    history: list[dict[str, float]]
    """Rows of metrics.csv."""
    origin: str = "random weights"
    """Description of the initial weights; checkpoints of older versions lack it."""

    def save(self, path: Path) -> None:
        """Write the file atomically.

        Raises:
            OSError: it cannot be written, or there is no memory for it; an existing file is unchanged.
        """
        # Not dataclasses.asdict: it would copy every tensor.
        content = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        buffer = io.BytesIO()
        try:
            torch.save(content | {"version": VERSION}, buffer)
        except RuntimeError as error:  # PyTorch hides that the buffer found no memory
            if isinstance(error.__context__, MemoryError):
                raise OSError(errno.ENOMEM, "could not be saved (no memory for its content)", str(path)) from error
            raise
        write_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint, or the last one of a run folder, onto the CPU.

        Raises:
            FileNotFoundError: there is no such file, or no checkpoint in the folder.
            ValueError: the file is not a checkpoint of this trainer, or of a newer version.
        """
        path = find_checkpoint(path)
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file makes torch.load raise exceptions of many types
            raise ValueError(
                f"{path}: not a checkpoint, or a damaged one ({type(error).__name__}); give a .pt file that "
                "python -m train wrote."
            ) from error
        return cls.from_content(content, path)

    @classmethod
    def from_content(cls, content: Any, path: Path) -> Checkpoint:
        """Make a checkpoint from the content of its file; ``path`` is for messages.

        Raises:
            ValueError: the content is not a checkpoint, or of a newer version.
        """
        names = {field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING}
        if not isinstance(content, dict) or "version" not in content:
            raise ValueError(f"{path}: not a checkpoint of this trainer; give a .pt file that python -m train wrote.")
        if content["version"] != VERSION or not names <= content.keys():
            raise ValueError(
                f"{path}: a checkpoint of version {content['version']}, but this trainer reads version {VERSION}; "
                "use the version of dali_cutmix that wrote it."
            )
        return cls(**{name: content[name] for name in (*names, "origin") if name in content})


def find_checkpoint(path: Path) -> Path:
    """The checkpoint file that a path stands for: the file itself, or ``last.pt`` in a run folder.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if path.is_dir():
        if not (path / "last.pt").is_file():
            raise FileNotFoundError(f"{path}: no last.pt in this folder; give a run folder or a checkpoint (.pt).")
        return path / "last.pt"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; give a run folder or a checkpoint (.pt).")
    return path

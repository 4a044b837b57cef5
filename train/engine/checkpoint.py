"""Checkpoints: all that a run needs to continue exactly, and what an evaluator needs, in one file."""

from __future__ import annotations

import dataclasses
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dali_cutmix.utils import write_atomically

VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after ``step`` steps. Tensors and plain values only: it loads without running code."""

    config: dict[str, Any]
    """`train.config.run.RunConfig.to_dict`, of the task's own configuration."""
    classes: list[str]
    """What the model's outputs mean, in their order: names of classes, or a captioner's vocabulary."""
    epoch: int
    """Complete epochs."""
    step: int
    """Steps since the start of the run."""
    model: dict[str, Any]
    """The model's state_dict, without wrappers' prefixes."""
    ema: dict[str, Any] | None
    """The averaged model's state_dict."""
    optimizer: dict[str, Any]
    """The optimizer's state_dict."""
    ranks: list[dict[str, Any]]
    """For each process: its loader's state, random number generators, sum of losses in this epoch."""
    history: list[dict[str, float]]
    """The rows of metrics.csv."""
    origin: str = "random weights"
    """What the first weights were; checkpoints of older versions do not say."""

    def save(self, path: Path) -> None:
        """Write atomically.

        Raises:
            OSError: it could not be written; the file that was there is intact.
        """
        # Not dataclasses.asdict: it would copy every tensor.
        content = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        buffer = io.BytesIO()
        torch.save(content | {"version": VERSION}, buffer)
        write_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint, or the last one of a run folder, onto the CPU.

        Raises:
            FileNotFoundError: there is none.
            ValueError: the file is no checkpoint of this trainer, or one of a newer version.
        """
        path = find_checkpoint(path)
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises whatever its unpickler stumbles over
            raise ValueError(
                f"{path}: not a checkpoint, or a damaged one ({type(error).__name__}); give a .pt file that "
                "python -m train wrote."
            ) from error
        return cls.from_content(content, path)

    @classmethod
    def from_content(cls, content: Any, path: Path) -> Checkpoint:
        """A checkpoint from what its file, ``path``, holds.

        Raises:
            ValueError: that is none, or one of a newer version.
        """
        names = {field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING}
        if not isinstance(content, dict) or "version" not in content:
            raise ValueError(f"{path}: not a checkpoint of this trainer; give a .pt file that python -m train wrote.")
        if content["version"] != VERSION or not names <= content.keys():
            raise ValueError(
                f"{path}: a checkpoint of version {content['version']}, and this trainer reads version {VERSION}; "
                "use the version of dali_cutmix that wrote it."
            )
        return cls(**{name: content[name] for name in (*names, "origin") if name in content})


def find_checkpoint(path: Path) -> Path:
    """The checkpoint file that ``path`` means: itself, or ``last.pt`` in a run folder.

    Raises:
        FileNotFoundError: there is none.
    """
    if path.is_dir():
        if not (path / "last.pt").is_file():
            raise FileNotFoundError(f"{path}: no last.pt in this folder; give a run folder or a checkpoint (.pt).")
        return path / "last.pt"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; give a run folder or a checkpoint (.pt).")
    return path

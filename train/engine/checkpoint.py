"""Checkpoints: all that a run needs to continue exactly, and all that an evaluator needs, in one file."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dali_cutmix.utils import check_regular, naming, open_regular, write_atomically

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
            content = read_tensors(path)
        except ValueError as error:
            raise ValueError(
                f"{path}: not a checkpoint, or a damaged one ({error}); give a .pt file that python -m train wrote."
            ) from error
        return cls.from_content(content, path)

    @classmethod
    def from_content(cls, content: Any, path: Path) -> Checkpoint:
        """Make a checkpoint from the content of its file; ``path`` is for messages.

        Raises:
            ValueError: the content is not a checkpoint, of a newer version, or not as it was saved.
        """
        names = {field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING}
        if not isinstance(content, dict) or "version" not in content:
            raise ValueError(f"{path}: not a checkpoint of this trainer; give a .pt file that python -m train wrote.")
        version = content["version"]
        if type(version) is not int or version != VERSION or not names <= content.keys():
            raise ValueError(
                f"{path}: a checkpoint of version {str(version)[:80]}, but this trainer reads version {VERSION}; "
                "use the version of dali_cutmix that wrote it."
            )
        if wrong := _problem(content):
            raise ValueError(f"{path}: a damaged checkpoint ({wrong}); give another one, such as best.pt.")
        return cls(**{name: content[name] for name in (*names, "origin") if name in content})


def _named(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in value)


def _tensors(value: Any) -> bool:
    return _named(value) and all(
        isinstance(tensor, Tensor) and tensor.layout == torch.strided and tensor.device.type == "cpu"
        for tensor in value.values()
    )


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _rows(value: Any) -> bool:
    return isinstance(value, list) and all(
        _named(row) and "epoch" in row and all(_number(one) for one in row.values()) for row in value
    )


def _number(value: Any) -> bool:
    return isinstance(value, float) or _whole(value)


_PARTS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "config": ("options by name", _named),
    "classes": ("a list of names", _names),
    "epoch": ("a whole number of at least 0", _whole),
    "step": ("a whole number of at least 0", _whole),
    "model": ("tensors by name", _tensors),
    "ema": ("tensors by name, or None", lambda value: value is None or _tensors(value)),
    "optimizer": ("a dict", _named),
    "ranks": ("a list of a dict for each process", lambda value: isinstance(value, list) and all(map(_named, value))),
    "history": ("a list of rows, each with numbers by name and its epoch", _rows),
    "origin": ("text", lambda value: isinstance(value, str)),
}
"""The parts of a checkpoint: by name, what is allowed, in words and as a check."""


def _problem(content: dict[str, Any]) -> str:
    """Say what is wrong with the parts that a checkpoint has; empty if nothing is."""
    for name, (what, fits) in _PARTS.items():
        if name in content and not fits(content[name]):
            value = content[name]
            given = repr(value)[:80] if isinstance(value, str | int | float) else f"a {type(value).__name__}"
            return f"its {name} is not {what}, but {given}"
    return ""


def find_checkpoint(path: Path) -> Path:
    """The checkpoint file that a path stands for: the file itself, or ``last.pt`` in a run folder.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it is not a regular file.
    """
    file = path / "last.pt" if path.is_dir() else path
    if not file.exists():
        what = "no last.pt in this folder" if path.is_dir() else "no such checkpoint"
        raise FileNotFoundError(f"{path}: {what}; give a run folder or a checkpoint (.pt).")
    check_regular(file.stat(), file)
    return file


def read_tensors(path: Path) -> Any:
    """The content of a file that ``torch.save`` wrote, on the CPU; reading it runs no code.

    Raises:
        OSError: the file cannot be read, or is not a regular one.
        ValueError: it is damaged, or holds something else than tensors and plain values.
    """
    with naming(path), os.fdopen(open_regular(path), "rb") as file:
        try:
            with warnings.catch_warnings(action="ignore"):  # of other files: the error says what is wrong
                return torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file makes torch.load raise exceptions of many types
            if isinstance(error, OSError) and error.errno != errno.EINVAL:  # which is a place outside of the file
                raise
            raise ValueError(type(error).__name__) from error


def digest_of_file(path: Path) -> str:
    """SHA-256 of a checkpoint's file, or of the last one in a run folder."""
    with find_checkpoint(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Initial weights: what a model takes from another one, and what stays random."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from train import models
from train.checkpoint import Checkpoint, find


@dataclass(frozen=True)
class Taken:
    """Which weights a model took from a file; names are those of tensors."""

    source: str
    """The file, and which of its weights."""
    taken: tuple[str, ...]
    random: tuple[str, ...]
    """Of the model, not in the file or meant for other classes."""
    unused: tuple[str, ...]
    """Of the file, not in the model."""

    def __str__(self) -> str:
        parts = {"taken": self.taken, "random": self.random, "in the file and not used": self.unused}
        shown = "; ".join(f"{name}: {_summary(tensors)}" for name, tensors in parts.items())
        return f"weights of {self.source}: {shown}"


def take_weights(model: nn.Module, path: Path) -> Taken:
    """Load every weight of the same name and shape but the last layer's, which stays random (paper, B).

    Args:
        path: a checkpoint or run folder of this trainer, whose averaged weights are taken if it has them, or a file
            with a state_dict, such as torchvision's.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it holds no weights, or they are another architecture's; tensors are named.
    """
    source, state = read_weights(path)
    own = model.state_dict()
    last = models.last_layer(model)
    kept = {f"{name}.{part}" for name, module in model.named_modules() if module is last for part in last.state_dict()}
    fitting = {name: tensor for name, tensor in state.items() if name in own and name not in kept}
    for name, tensor in fitting.items():
        if tensor.shape != own[name].shape:
            raise ValueError(
                f"{path}: {name} has the shape {list(tensor.shape)}, in the model {list(own[name].shape)}; give "
                "weights of the same architecture."
            )
    if not fitting:
        raise ValueError(
            f"{path}: none of its {len(state)} tensors has a name of the model's ({', '.join(list(own)[:3])}, …); "
            "give weights of the same architecture."
        )
    model.load_state_dict(fitting, strict=False)
    random = tuple(name for name in own if name not in fitting)
    return Taken(source, tuple(fitting), random, tuple(name for name in state if name not in fitting))


def read_weights(path: Path) -> tuple[str, dict[str, Tensor]]:
    """Tensors by name, and where they are from; errors as in `take_weights`."""
    path = find(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler stumbles over
        raise ValueError(f"{path}: no file of weights, or a damaged one ({type(error).__name__}).") from error
    content = content if isinstance(content, dict) else {}
    if "version" in content and "config" in content:
        checkpoint = Checkpoint.load(path)
        weights, state = ("ema", checkpoint.ema) if checkpoint.ema else ("model", checkpoint.model)
        return f"{path} ({checkpoint.config['model']}, {weights})", state
    state = next((content[name] for name in ("state_dict", "model") if name in content), content)
    tensors = {name.removeprefix("module."): t for name, t in state.items() if isinstance(t, Tensor)}
    if not tensors:
        raise ValueError(
            f"{path}: it holds no tensors by name; give a checkpoint, or a state_dict saved by torch.save."
        )
    return str(path), tensors


def _summary(names: Iterable[str]) -> str:
    """Tensors by the module that they are in."""
    counts = Counter(name.partition(".")[0] for name in names)
    return ", ".join(f"{module} ({count})" for module, count in counts.items()) or "none"

"""Initial weights: what a model takes from another one, and what stays random."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from train.engine import Checkpoint, Ranks, find_checkpoint
from train.models import classifiers

RANDOM = "random weights"
COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class LoadedWeights:
    """Which weights a model took from a file; names are those of tensors."""

    source: str
    """The file, and which of its weights."""
    taken: tuple[str, ...]
    random: tuple[str, ...]
    """Of the model, not in the file or not to be taken."""
    unused: tuple[str, ...]
    """Of the file, not in the model."""

    def __str__(self) -> str:
        parts = {"taken": self.taken, "random": self.random, "in the file and not used": self.unused}
        shown = "; ".join(f"{name}: {_summary(tensors)}" for name, tensors in parts.items())
        return f"weights of {self.source}: {shown}"


def load_matching_weights(
    parts: Sequence[nn.Module], path: Path, *, random: Collection[str] = (), complete: bool = False
) -> LoadedWeights:
    """Load every weight of the same name and shape.

    Args:
        parts: of one network, whose tensors have the names that they have in the file.
        path: a checkpoint or run folder of this trainer, whose averaged weights are taken if it has them, or a file
            with a state_dict, such as torchvision's.
        random: names of tensors that stay as they are.
        complete: refuse a file in which a tensor is missing.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it holds no weights, or they are another architecture's; tensors are named.
    """
    path = find_checkpoint(path)
    source, state = _read_weights(path)
    own = {name: tensor for part in parts for name, tensor in part.state_dict().items()}
    fitting = {name: tensor for name, tensor in state.items() if name in own and name not in random}
    for name, tensor in fitting.items():
        if tensor.shape != own[name].shape:
            raise ValueError(
                f"{path}: {name} has the shape {list(tensor.shape)}, in the model {list(own[name].shape)}; give "
                "weights of the same architecture."
            )
    # Older files lack the counters of batches, which nothing here reads.
    missing = [name for name in own if name not in fitting and not name.endswith(COUNTER)]
    if not fitting or (complete and missing):
        raise ValueError(
            f"{path}: {len(fitting)} of the model's {len(own)} tensors are in it, {', '.join(missing[:3])} "
            f"{'are' if len(missing) > 1 else 'is'} not; give weights of the same architecture."
        )
    with torch.no_grad():
        for name, tensor in fitting.items():
            own[name].copy_(tensor)
    unused = (name for name in state if name not in fitting and not name.endswith(COUNTER))
    return LoadedWeights(source, tuple(fitting), tuple(missing), tuple(unused))


def load_all_but_last_layer(model: nn.Module, path: Path) -> LoadedWeights:
    """Load all weights of a classifier except the last layer's, which stays random (paper, B).

    Raises:
        FileNotFoundError, ValueError: see `load_matching_weights`.
    """
    last = classifiers.last_layer(model)
    names = (name for name, module in model.named_modules() if module is last)
    random = {f"{name}.{part}" for name in names for part in last.state_dict()}
    return load_matching_weights([model], path, random=random)


def _read_weights(path: Path) -> tuple[str, dict[str, Tensor]]:
    """Tensors of a file by name, and where they are from; errors as in `load_matching_weights`."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler stumbles over
        raise ValueError(f"{path}: no file of weights, or a damaged one ({type(error).__name__}).") from error
    content = content if isinstance(content, dict) else {}
    if "version" in content and "config" in content:
        checkpoint = Checkpoint.from_content(content, path)
        weights, state = ("ema", checkpoint.ema) if checkpoint.ema else ("model", checkpoint.model)
        how = ", ".join(str(checkpoint.config[name]) for name in ("model", "mix") if name in checkpoint.config)
        return f"{path} ({how}, {weights})", state
    state = next((content[name] for name in ("state_dict", "model") if name in content), content)
    tensors = {name.removeprefix("module."): t for name, t in state.items() if isinstance(t, Tensor)}
    if not tensors:
        raise ValueError(
            f"{path}: it holds no tensors by name; give a checkpoint, or a state_dict saved by torch.save."
        )
    return str(path), tensors


def report_initial_weights(taken: LoadedWeights, ranks: Ranks) -> str:
    """Print what was taken, once; and where it is from, for the checkpoint."""
    if ranks.is_first:
        print(taken)
    return f"weights of {taken.source}"


def _summary(names: Iterable[str]) -> str:
    """Tensors by the module that they are in."""
    counts = Counter(name.partition(".")[0] for name in names)
    return ", ".join(f"{module} ({count})" for module, count in counts.items()) or "none"

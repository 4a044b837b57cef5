"""Initial weights of a model, loaded from a checkpoint or from a file of torchvision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from dali_cutmix.utils import LINES, printable
from train.engine import Checkpoint, Ranks, find_checkpoint, read_tensors
from train.models import classifiers

RANDOM = "random weights"
"""The origin of a model's weights if none are loaded."""
COUNTER = "num_batches_tracked"
"""Batch norm's counter of batches, which nothing here reads."""


@dataclass(frozen=True)
class LoadedWeights:
    """Names of the tensors that a model took from a file, and of those that it did not."""

    source: str
    """The file, and which of its weights."""
    taken: tuple[str, ...]
    """Tensors that were loaded."""
    random: tuple[str, ...]
    """Tensors of the model that were not loaded."""
    unused: tuple[str, ...]
    """Tensors of the file that the model does not have."""

    def __str__(self) -> str:
        parts = {"taken": self.taken, "random": self.random, "in the file and not used": self.unused}
        shown = "; ".join(f"{name}: {_summary(tensors)}" for name, tensors in parts.items())
        return f"weights of {self.source}: {shown}"


def load_matching_weights(
    parts: Sequence[nn.Module], path: Path, *, random: Collection[str] = (), complete: bool = False
) -> LoadedWeights:
    """Load every tensor of a file that has the name and shape of one of the model's.

    Example::

        model = classifiers.build("resnet10", 20)
        print(load_matching_weights([model], Path("runs/digits"), random={"fc.weight", "fc.bias"}))

    Args:
        parts: modules of one network, whose tensors have the same names as in the file.
        path: a checkpoint or run folder of this trainer, of which the averaged weights are used if there are any; or a
            file with a state_dict, such as one of torchvision.
        random: names of tensors that are not loaded.
        complete: refuse a file that lacks one of the other tensors.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no weights, or those of another architecture; the message names tensors.
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
    # Older files lack batch norm's counters.
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
    """A description of the file's weights, and its tensors by name; raises as `load_matching_weights` does."""
    try:
        content = read_tensors(path)
    except ValueError as error:
        raise ValueError(
            f"{path}: not a file of weights, or a damaged one ({error}); give a checkpoint, or a state_dict saved by "
            "torch.save."
        ) from error
    content = content if isinstance(content, dict) else {}
    if "version" in content and "config" in content:
        checkpoint = Checkpoint.from_content(content, path)
        weights, state = ("ema", checkpoint.ema) if checkpoint.ema else ("model", checkpoint.model)
        how = ", ".join(str(checkpoint.config[name]) for name in ("model", "mix") if name in checkpoint.config)
        return f"{path} ({how}, {weights})", state
    state = next((content[name] for name in ("state_dict", "model") if name in content), content)
    named = state.items() if isinstance(state, dict) else ()
    tensors = {name.removeprefix("module."): t for name, t in named if isinstance(name, str) and isinstance(t, Tensor)}
    if not tensors:
        raise ValueError(f"{path}: no named tensors in it; give a checkpoint, or a state_dict saved by torch.save.")
    return str(path), tensors


def report_initial_weights(taken: LoadedWeights, ranks: Ranks) -> str:
    """Print which weights were loaded, on the first process; return their origin, for the checkpoint."""
    if ranks.is_first:
        print(printable(taken, keep=LINES))
    return f"weights of {taken.source}"


def _summary(names: Iterable[str]) -> str:
    """Numbers of tensors by the top-level module that they are in."""
    counts = Counter(name.partition(".")[0] for name in names)
    return ", ".join(f"{module} ({count})" for module, count in counts.items()) or "none"

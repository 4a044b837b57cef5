"""The command ``python -m train.evaluate CHECKPOINT [--data DIR]``: top-1, top-5 and loss of a checkpoint."""

from __future__ import annotations

import dataclasses
import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from torch import nn

from dali_cutmix.files import write_atomically
from train import classification, models
from train.checkpoint import Checkpoint, find
from train.config import Config
from train.distributed import Ranks, join


@dataclass(frozen=True)
class Options:
    """Measure a checkpoint on a folder of classes: top-1, top-5 and loss, as a table and as JSON."""

    checkpoint: tyro.conf.Positional[Path]
    """Checkpoint (.pt), or a run folder, of which last.pt is taken."""
    data: Path | None = None
    """Folder with one folder for each class, or one that has it as val/; what it was trained on if not given."""
    weights: Literal["auto", "model", "ema"] = "auto"
    """Which weights: auto takes the averaged ones (ema) where the checkpoint has them."""
    json: Path | None = None
    """Where to write the results; CHECKPOINT with the ending .eval.json if not given."""
    batch_size: int | None = None
    """Images in one step over all processes; that of the training if not given."""
    device: str = "auto"
    """cpu, cuda, cuda:N, or auto: the GPU if there is one."""
    num_threads: int | None = None
    """Threads that decode, for each process; chosen by the loader if not given."""


Results = dict[str, Any]


def evaluate(options: Options, ranks: Ranks) -> Results:
    """Measure a checkpoint.

    Returns:
        ``top1`` and ``top5`` in percent (of K < 5 classes, top-K), ``loss`` (mean cross entropy), and what they
        belong to: ``checkpoint``, ``epoch``, ``weights`` ("model" or "ema"), ``data``, ``images``, ``classes``.

    Raises:
        FileNotFoundError: no such checkpoint or data.
        ValueError: the checkpoint is none, or does not fit the data or this version's models.
    """
    path = find(options.checkpoint)
    checkpoint = Checkpoint.load(path)
    config = Config.from_dict(checkpoint.config)
    batch_size = config.batch_size if options.batch_size is None else options.batch_size
    config = dataclasses.replace(config, num_threads=options.num_threads, batch_size=batch_size)
    folder = val_folder(config, options.data)
    loader = classification.val_loader(config, ranks, folder)
    classification.check_classes(checkpoint.classes, loader.classes, folder)
    model, weights = load_model(checkpoint, path, options.weights)
    if config.channels_last:
        model = model.to(memory_format=torch.channels_last)
    metrics = classification.evaluate(model.to(ranks.device), loader, ranks, config.amp)
    return {
        "checkpoint": str(path),
        "epoch": checkpoint.epoch,
        "weights": weights,
        "data": str(folder),
        "images": sum(ranks.gather(loader.num_samples)),
        "classes": len(checkpoint.classes),
        **{name.removeprefix("val_"): value for name, value in metrics.items()},
    }


def val_folder(config: Config, data: Path | None) -> Path:
    """The folder of classes that ``--data`` means."""
    if data is None:
        return classification.data_folder(config) / "val"
    return data / "val" if (data / "val").is_dir() else data


def load_model(checkpoint: Checkpoint, path: Path, weights: str) -> tuple[nn.Module, str]:
    """The checkpoint's model, on the CPU, and which of its weights it carries, "model" or "ema".

    Raises:
        ValueError: it has no such weights, or they do not fit the model that this version builds.
    """
    if weights == "auto":
        weights = "ema" if checkpoint.ema else "model"
    state = checkpoint.ema if weights == "ema" else checkpoint.model
    if state is None:
        raise ValueError(f"{path} has no averaged weights (it was trained without --ema); give --weights model.")
    name = checkpoint.config["model"]
    model = models.build(name, len(checkpoint.classes))
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path}: its weights do not fit the model {name!r}: {error}") from error
    return model, weights


def table(results: Results) -> str:
    """The results for reading, one line each."""
    shown = results | {name: f"{results[name]:.2f} %" for name in ("top1", "top5")} | {"loss": f"{results['loss']:.4f}"}
    return "\n".join(f"{name:12}{value}" for name, value in shown.items())


def main() -> None:
    """Evaluate, print the table and write the JSON; whatever cannot be is told in a plain sentence."""
    options = tyro.cli(Options, prog="python -m train.evaluate")
    with ExitStack() as stack:
        try:
            ranks = stack.enter_context(join(options.device))
            results = evaluate(options, ranks)
            if ranks.is_first:
                output = options.json or find(options.checkpoint).with_suffix(".eval.json")
                print(table(results))
                write_atomically(output, json.dumps(results, indent=2).encode())
                print(f"written to {output}")
        except (ValueError, OSError) as error:
            sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

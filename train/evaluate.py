"""The command ``python -m train.evaluate [robustness|uncertainty] CHECKPOINT``; without a name top-1, top-5, loss."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from dali_cutmix.files import write_atomically
from train import classification, robustness, uncertainty
from train.checkpoint import find
from train.distributed import Ranks, join
from train.trained import open_trained, val_folder


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
    trained = open_trained(options, ranks)
    folder = val_folder(trained.config, options.data)
    loader = classification.val_loader(trained.config, ranks, folder)
    classification.check_classes(trained.checkpoint.classes, loader.classes, folder)
    metrics = classification.evaluate(trained.model, loader, ranks, trained.config.amp)
    return {
        "checkpoint": str(trained.path),
        "epoch": trained.checkpoint.epoch,
        "weights": trained.weights,
        "data": str(folder),
        "images": sum(ranks.gather(loader.num_samples)),
        "classes": len(trained.checkpoint.classes),
        **{name.removeprefix("val_"): value for name, value in metrics.items()},
    }


def table(results: Results) -> str:
    """The results for reading, one line each."""
    shown = results | {name: f"{results[name]:.2f} %" for name in ("top1", "top5")} | {"loss": f"{results['loss']:.4f}"}
    return "\n".join(f"{name:12}{value}" for name, value in shown.items())


def accuracy(arguments: list[str]) -> None:
    """Evaluate, print the table and write the JSON; whatever cannot be is told in a plain sentence."""
    options = tyro.cli(Options, prog="python -m train.evaluate", args=arguments)
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


def main() -> None:
    """The command that the first argument names, or accuracy."""
    name, *rest = sys.argv[1:] or [""]
    match name:
        case "robustness":
            robustness.main(rest)
        case "uncertainty":
            uncertainty.main(rest)
        case _:
            accuracy(sys.argv[1:])


if __name__ == "__main__":
    main()

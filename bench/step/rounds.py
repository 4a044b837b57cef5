"""Training on synthetic data and on the loader's batches, in turn, round by round."""

import math
from collections.abc import Iterator
from itertools import repeat
from typing import cast

import torch
from rich.console import Console
from rich.progress import Progress

import dali_cutmix as dc
from bench.step.timing import Steps, measure_steps, settle
from bench.step.training import Batch, Trainer, Training, synthetic_batch

SOURCES = {"synthetic": "synthetic data on the device", "loader": "dali_cutmix, CutMix"}
PREPARED = 8
"""No more batches than this were prepared while the loader stood idle."""


def measure(
    training: Training, loader: dc.Loader, steps: int, seconds: float, rounds: int
) -> Iterator[dict[str, list[Steps]]]:
    """Measure both sources once in a round.

    Args:
        training: what is trained.
        loader: of batches that fit it.
        steps: in one measurement; 0 means as many as take ``seconds``.
        seconds: length of one measurement, where ``steps`` is 0.
        rounds: measurements of each.

    Yields:
        The measurements so far of each of ``SOURCES``, after each round.

    Raises:
        ValueError: the model does not fit into memory, is no plain classifier, or cannot be compiled.
        DecodeError: a file could not be decoded.
    """
    sources: dict[str, Iterator[Batch]] = {"synthetic": repeat(synthetic_batch(training)), "loader": _endless(loader)}
    # A GPU's clocks, its allocator and the queue of launches need some steps to be as they are in a long run.
    warm = 10 if training.device != "cpu" else 1
    measured: dict[str, list[Steps]] = {name: [] for name in sources}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("warming up", total=1 + len(sources) * rounds)
        trainer = Trainer(training)
        for source in sources.values():
            for _ in range(warm):
                _first_step(trainer, training, next(source))
        if not steps:
            timed = measure_steps(trainer.step, sources["synthetic"], max(2, warm), training.device)
            steps = max(2, math.ceil(seconds / timed.seconds * timed.steps))
        progress.advance(task)
        for number in range(rounds):
            # Every other round the other way round, so that a drift of the machine favours nobody.
            for name in list(sources)[:: 1 if number % 2 == 0 else -1]:
                progress.update(task, description=f"round {number + 1}: {SOURCES[name]}")
                settle()
                if name == "loader":
                    for _ in range(PREPARED):
                        next(sources[name])
                for _ in range(warm):
                    trainer.step(*next(sources[name]))
                measured[name].append(measure_steps(trainer.step, sources[name], steps, training.device))
                progress.advance(task)
            yield measured


def _endless(loader: dc.Loader) -> Iterator[Batch]:
    while True:
        yield from (cast(Batch, batch) for batch in loader)


def _first_step(trainer: Trainer, training: Training, batch: Batch) -> None:
    """A step of the warm-up, where most of what can fail does so."""
    try:
        trainer.step(*batch)
    except torch.OutOfMemoryError as error:
        raise ValueError(
            f"--batch-size {training.batch_size} with {training.model} needs more memory than {training.device} has; "
            "give a smaller one."
        ) from error
    except Exception as error:  # whatever a model raises
        others = "another --model or --size"
        raise ValueError(
            f"--model {training.model} could not be trained at --size {training.size}; try "
            f"{f'--no-compile, or {others}' if training.compile else others}. PyTorch says: {error}"
        ) from error

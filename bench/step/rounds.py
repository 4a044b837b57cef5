"""Rounds of measurements: training on synthetic data and on the loader's batches, in turn."""

import math
from collections.abc import Iterator
from itertools import repeat
from typing import cast

import torch
from rich.console import Console
from rich.progress import Progress

import dali_cutmix as dc
from bench.step.step_timing import StepTiming, measure_steps, wait_until_idle
from bench.step.training import LabeledBatch, Trainer, TrainingSetup, synthetic_batch

SOURCES = {"synthetic": "synthetic data on the device", "loader": "dali_cutmix, CutMix"}
PREPARED = 8
"""Upper bound of the number of batches that the loader prepares while idle."""


def measure(
    training: TrainingSetup, loader: dc.Loader, steps: int, seconds: float, rounds: int
) -> Iterator[dict[str, list[StepTiming]]]:
    """Measure training on both sources of batches once in a round.

    Args:
        training: the training to measure.
        loader: loader of its batches.
        steps: steps in one measurement; 0 means as many as take ``seconds``.
        seconds: length of one measurement, if ``steps`` is 0.
        rounds: measurements of each source.

    Yields:
        After each round the measurements so far, for each of ``SOURCES``.

    Raises:
        ValueError: the model does not fit into memory, is not a plain classifier, or cannot be compiled.
        DecodeError: a file could not be decoded.
    """
    sources: dict[str, Iterator[LabeledBatch]] = {
        "synthetic": repeat(synthetic_batch(training)),
        "loader": _endless(loader),
    }
    # A GPU's clocks, its allocator and its launch queue need some steps to reach the state of a long run.
    warm = 10 if training.device != "cpu" else 1
    measured: dict[str, list[StepTiming]] = {name: [] for name in sources}
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
            # In every other round in reverse order, so that a drift of the machine favours neither source.
            for name in list(sources)[:: 1 if number % 2 == 0 else -1]:
                progress.update(task, description=f"round {number + 1}: {SOURCES[name]}")
                wait_until_idle()
                if name == "loader":
                    for _ in range(PREPARED):
                        next(sources[name])
                for _ in range(warm):
                    trainer.step(*next(sources[name]))
                measured[name].append(measure_steps(trainer.step, sources[name], steps, training.device))
                progress.advance(task)
            yield measured


def _endless(loader: dc.Loader) -> Iterator[LabeledBatch]:
    while True:
        yield from (cast(LabeledBatch, batch) for batch in loader)


def _first_step(trainer: Trainer, training: TrainingSetup, batch: LabeledBatch) -> None:
    """Run a step of the warm-up, which reports what is wrong with the model or its options."""
    try:
        trainer.step(*batch)
    except torch.OutOfMemoryError as error:
        raise ValueError(
            f"--batch-size {training.batch_size} with {training.model} needs more memory than {training.device} has; "
            "give a smaller one."
        ) from error
    except Exception as error:  # models raise errors of many types
        others = "another --model or --size"
        raise ValueError(
            f"--model {training.model} could not be trained at --size {training.size}; try "
            f"{f'--no-compile, or {others}' if training.compile else others}. PyTorch says: {error}"
        ) from error

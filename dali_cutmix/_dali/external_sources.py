"""Data that a graph takes from Python by ``fn.external_source``: what a state can continue, and where it stands.

DALI keeps the position of a source (how often it was called) beside the graph, and all copies of a pipeline share it.
Each live pipeline therefore gets a position of its own, which begins at 0, or where a checkpoint was taken.
"""

import copy
from collections.abc import Callable
from typing import Any

from nvidia.dali import Pipeline
from nvidia.dali.external_source import _is_external_source  # type: ignore[attr-defined]
from nvidia.dali.types import BatchInfo, SampleInfo

_ADVICE = (
    "give it a function of types.SampleInfo (with batch=False), or of types.BatchInfo (with batch_info=True), that "
    "looks up what info.iteration says"
)


def check_external_sources(pipeline: Pipeline) -> None:
    """Refuse sources whose position DALI cannot restore.

    Args:
        pipeline: whose graph has been made.

    Raises:
        ValueError: a source is missing, is a generator, an iterable or a function without an argument, or is parallel.
    """
    for operator in pipeline._ops:
        if not _is_external_source(operator):
            continue
        if operator._callback is None:
            raise ValueError(
                f"Loader: an fn.external_source without a source given, which nothing would feed; {_ADVICE}."
            )
        source = operator._group.source_desc
        if source.kind.name != "CALLABLE" or not source.has_inputs:
            raise ValueError(
                f"Loader: fn.external_source(source={source.source!r}) given, whose position is not part of a state: "
                f"a function without an argument, a generator or an iterable; {_ADVICE}."
            )
        if operator._group.parallel:
            raise ValueError(
                f"Loader: fn.external_source(source={source.source!r}, parallel=True) given; its worker processes "
                "reuse memory that the loader's tensors may still hold, and lose their position in a resume. Leave "
                "parallel out."
            )


def separate_external_sources(pipeline: Pipeline) -> None:
    """Give a pipeline, not built yet, positions of its own for its sources, all at the start."""
    groups = [copy.copy(group) for group in pipeline._input_callbacks]
    for group in groups:
        group.reset_indices()
        group.callback = _checked(
            group.callback, group.is_multioutput, pipeline.max_batch_size if group.batch else None
        )
    pipeline._input_callbacks = pipeline._seq_input_callbacks = groups


def _checked(source: Callable[[Any], Any], several: bool, batch_size: int | None) -> Callable[[Any], Any]:
    """The source, with errors where DALI would end or shorten an epoch without a word."""

    def call(info: SampleInfo | BatchInfo | int) -> Any:
        try:
            given = source(info)
        except StopIteration as error:
            raise RuntimeError(
                f"fn.external_source: {source!r} raised StopIteration at iteration {getattr(info, 'iteration', info)}; "
                "it must not end: the loader's epochs do, after epoch_size samples. Look up info.iteration modulo the "
                "number of batches in an epoch, and raise an IndexError where a sample is missing."
            ) from error
        lengths = [] if batch_size is None else [len(output) for output in (given if several else [given])]
        if wrong := [length for length in lengths if length != batch_size]:
            raise RuntimeError(
                f"fn.external_source: {source!r} gave {wrong[0]} samples for a batch of {batch_size}; give as many as "
                "the pipeline's batch_size. In the last batch of an epoch repeat some: the loader cuts off what is "
                "beyond epoch_size."
            )
        return given

    return call

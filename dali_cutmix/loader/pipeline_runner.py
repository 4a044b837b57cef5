"""PipelineRunner: a live pipeline, and what happens when a batch fails."""

from collections.abc import Mapping
from typing import Any

import torch
from nvidia.dali import Pipeline

from dali_cutmix._dali import pipeline_template
from dali_cutmix.bad_samples import (
    Fault,
    Replacement,
    bisect_failing_batch,
    decode_error,
    find_bad_samples,
    graph_error,
    is_about_samples,
    unreadable_samples,
)
from dali_cutmix.ops import MAX_PIXELS, notes
from dali_cutmix.sources import Source


class PipelineRunner:
    """A live pipeline, made from a template and made again after each batch that fails.

    Args:
        template: see :func:`dali_cutmix._dali.pipeline_template.as_template`.
        replacement: of its bad samples; None if the graph has a reader of its own.
        replaces: replace what makes a batch fail, or raise.
        checkpoint: where to begin; None for the start.
    """

    def __init__(
        self, template: Pipeline, replacement: Replacement | None, replaces: bool, checkpoint: bytes | None = None
    ) -> None:
        self._template, self._replacement, self._replaces = template, replacement, replaces
        self._notes = notes(template)
        self.pipe = self._build(checkpoint)
        self.checkpoint = checkpoint or self.pipe.checkpoint()
        """The pipeline's state after the last batch."""
        self._failed = False
        self._tried_again: bytes | None = None

    def run(self) -> tuple[Any, ...]:
        """The outputs of the next batch; on a GPU on PyTorch's current stream.

        Raises:
            DecodeError: a file could not be decoded, or too many; the next call tries the same batch again.
            RuntimeError: another operator of the graph failed; so does the next call.
        """
        device = self.pipe.device_id
        stream = None if device is None else torch.cuda.current_stream(device)
        while True:
            if self._failed:  # not before: its reader begins to read at once, and files may be fixed meanwhile
                self.pipe = self._build(self.checkpoint)
                self._failed = False
            try:
                outputs = self.pipe.run(stream)
            except RuntimeError as error:
                self._failed = True
                pipeline_template.shut_down(self.pipe)
                self._handle(error)
            else:
                self.checkpoint = self.pipe.checkpoint()
                return outputs

    def _build(self, checkpoint: bytes | None) -> Pipeline:
        while True:
            try:
                return pipeline_template.build(self._template, checkpoint)
            except RuntimeError as error:
                source, replacement = self._notes.source, self._replacement
                if source is None or replacement is None:
                    raise
                reasons = unreadable_samples(error, source)
                if not reasons.keys() - set(replacement.bad):
                    raise
                self._replace_or_raise(source, replacement, reasons, error)

    def _handle(self, error: RuntimeError) -> None:
        """Prepare another try of a failed batch, without its bad samples, or raise an error that names the culprit."""
        source, replacement = self._notes.source, self._replacement
        if replacement is None or source is None:
            raise error
        if not is_about_samples(error):
            raise graph_error(error) from error
        limit, formats = self._notes.max_pixels or MAX_PIXELS, self._notes.formats
        reasons = find_bad_samples(source, limit, self.checkpoint, replacement.substitutes, self._template, formats)
        if not reasons and self._tried_again != self.checkpoint:
            self._tried_again = self.checkpoint  # all are good by now: a disk or a network may fail for a moment
            return
        reasons = reasons or bisect_failing_batch(source, self._template, self.checkpoint, replacement.substitutes)
        if not reasons:
            raise graph_error(error) from error
        self._replace_or_raise(source, replacement, reasons, error)

    def _replace_or_raise(
        self, source: Source, replacement: Replacement, faults: Mapping[int, Fault], error: RuntimeError
    ) -> None:
        if not self._replaces:
            raise decode_error(source, faults, error) from error
        replacement.add(faults, error)

"""PipelineRunner: a live pipeline, and what happens when a batch fails."""

import threading
from collections.abc import Mapping
from typing import Any

import torch
from nvidia.dali import Pipeline

from dali_cutmix._dali import pipeline_template, shut_down
from dali_cutmix.bad_samples import (
    Fault,
    Patience,
    Replacement,
    StorageError,
    bisect_failing_batch,
    decode_error,
    failed_operators,
    find_bad_samples,
    find_bad_successors,
    gone,
    graph_error,
    is_about_samples,
    is_about_storage,
    short_reason,
)
from dali_cutmix.ops import MAX_PIXELS, notes
from dali_cutmix.sources import Source


class PipelineRunner:
    """A live pipeline, made from a template and made again after each batch that fails.

    Args:
        template: see :func:`dali_cutmix._dali.pipeline_template.as_template`.
        replacement: of its bad samples; None if the graph has a reader of its own.
        replaces: replace what makes a batch fail, or raise.
        patience: how long storage that fails is waited for.
        checkpoint: where to begin; None for the start.
    """

    def __init__(
        self,
        template: Pipeline,
        replacement: Replacement | None,
        replaces: bool,
        patience: Patience,
        checkpoint: bytes | None = None,
    ) -> None:
        self._template, self._replacement, self._replaces = template, replacement, replaces
        self._patience = patience
        self._source = notes(template).source
        self._limits = notes(template).max_pixels or MAX_PIXELS, notes(template).formats
        self.pipe = pipeline_template.build(template, checkpoint)
        self.checkpoint = checkpoint or self.pipe.checkpoint()
        """The pipeline's state after the last batch."""
        self._failed = False
        self._tried_again: bytes | None = None

    def run(self) -> tuple[Any, ...]:
        """The outputs of the next batch; on a GPU on PyTorch's current stream.

        Raises:
            DecodeError: a file could not be decoded, or too many; the next call tries the same batch again.
            StorageError: files could not be read, for too long; the next call tries the same batch again.
            RuntimeError: another operator of the graph failed; so does the next call.
        """
        device = self.pipe.device_id
        stream = None if device is None else torch.cuda.current_stream(device)
        while True:
            if self._failed:  # not before: its reader begins to read at once, and files may be fixed meanwhile
                self.pipe = pipeline_template.build(self._template, self.checkpoint)
                self._failed = False
            try:
                outputs = self.pipe.run(stream)
            except (RuntimeError, LookupError, TypeError, ValueError) as error:
                self._failed = True
                shut_down(self.pipe)
                if not (isinstance(error, RuntimeError) or failed_operators(error)):
                    raise  # of a user's function, given to fn.external_source
                # DALI has other types for a few, such as a division by zero.
                self._handle(error if isinstance(error, RuntimeError) else RuntimeError(str(error)))
            else:
                self._patience.reset()
                self.checkpoint = self.pipe.checkpoint()
                return outputs

    def _handle(self, error: RuntimeError) -> None:
        """Prepare another try of a failed batch, without its bad samples, or raise an error that names the culprit."""
        source, replacement = self._source, self._replacement
        ending = not threading.main_thread().is_alive()  # the process ends: nobody will take this batch
        if replacement is None or source is None or ending:
            raise error
        if not is_about_samples(error):
            raise graph_error(error) from error
        try:
            faults = self._find_faults(source, replacement, error)
        except StorageError as away:
            if self._patience.wait(away.what):
                return
            faults = gone(source, away.errors, waited=True)
            if not faults or faults.keys() < away.errors.keys():
                raise
        if faults is None:
            return
        if not self._replaces:
            raise decode_error(source, faults, error) from error
        limit, formats = self._limits
        more = find_bad_successors(source, faults, replacement.substitutes, limit, self._template, formats)
        replacement.add({**faults, **more}, error)

    def _find_faults(self, source: Source, replacement: Replacement, error: RuntimeError) -> Mapping[int, Fault] | None:
        """The samples that made a batch fail; None where all are good by now, and it should be tried again.

        Raises:
            StorageError: samples cannot be read.
            RuntimeError: no sample is to blame.
        """
        limit, formats = self._limits
        substitutes = replacement.substitutes
        if faults := find_bad_samples(source, limit, self.checkpoint, substitutes, self._template, formats):
            return faults
        if self._tried_again != self.checkpoint:
            self._tried_again = self.checkpoint  # a disk or a network may fail for a moment
            return None
        if is_about_storage(error):
            raise StorageError(f"{short_reason(error)}.", {})
        if faults := bisect_failing_batch(source, self._template, self.checkpoint, substitutes):
            return faults
        raise graph_error(error) from error

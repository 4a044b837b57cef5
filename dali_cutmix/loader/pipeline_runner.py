"""Running: a pipeline at a position, and what happens when a batch fails."""

from typing import Any

import torch
from nvidia.dali import Pipeline

from dali_cutmix._dali import pipeline_template
from dali_cutmix.bad_samples import Replacement, bad_samples, culprits, decode_error, is_about_samples, unreadable
from dali_cutmix.ops import MAX_PIXELS, notes


class Running:
    """A live pipeline, made from a template.

    Args:
        template: see :func:`dali_cutmix._dali.pipeline_template.as_template`.
        replacement: of its bad samples; None where the graph has a reader of its own.
        replaces: replace what makes a batch fail, or raise.
        checkpoint: where to begin; None: at the start.
    """

    def __init__(
        self, template: Pipeline, replacement: Replacement | None, replaces: bool, checkpoint: bytes | None = None
    ) -> None:
        self._template, self._replacement, self._replaces = template, replacement, replaces
        self.pipe = self._build(checkpoint)
        self.checkpoint = checkpoint or self.pipe.checkpoint()
        """After the last batch."""
        self._failed = False
        self._tried_again: bytes | None = None

    def run(self) -> tuple[Any, ...]:
        """The outputs of the next batch; on a GPU on PyTorch's current stream.

        Raises:
            DecodeError: a file could not be decoded, or too many; the next call tries the same batch again.
        """
        device = self.pipe.device_id
        stream = None if device is None else torch.cuda.current_stream(device)
        while True:
            if self._failed:  # not before: its reader begins to read at once, and files may be mended meanwhile
                self.pipe = self._build(self.checkpoint)
                self._failed = False
            try:
                outputs = self.pipe.run(stream)
            except RuntimeError as error:
                self._failed = True
                self._mend(error)
            else:
                self.checkpoint = self.pipe.checkpoint()
                return outputs

    def _build(self, checkpoint: bytes | None) -> Pipeline:
        while True:
            try:
                return pipeline_template.build(self._template, checkpoint)
            except RuntimeError as error:
                source, replacement = notes(self._template).source, self._replacement
                if source is None or replacement is None:
                    raise
                faults = unreadable(error, source)
                if not faults.keys() - set(replacement.bad):
                    raise
                if not self._replaces:
                    raise decode_error(source, faults, error) from error
                replacement.add(faults, error)

    def _mend(self, error: RuntimeError) -> None:
        """Let the batch that failed be tried again without its bad samples, or raise what a user can act on."""
        note, replacement = notes(self._template), self._replacement
        if replacement is None or note.source is None or not is_about_samples(error, note.source):
            raise error
        limit = note.max_pixels or MAX_PIXELS
        faults = bad_samples(note.source, limit, self.checkpoint, replacement.substitutes, self._template)
        if not faults and self._tried_again != self.checkpoint:
            self._tried_again = self.checkpoint  # all are good by now: a disk or a network may fail for a moment
            return
        faults = faults or culprits(note.source, self._template, self.checkpoint, replacement.substitutes)
        if not faults:
            raise error
        if not self._replaces:
            raise decode_error(note.source, faults, error) from error
        replacement.add(faults, error)

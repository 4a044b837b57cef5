"""BatchProducer: the batches of a pipeline in order; work for the CPU is done one batch ahead, in a thread."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import NamedTuple

import torch
from nvidia.dali import Pipeline
from torch import Tensor

from dali_cutmix.bad_samples import Replacement
from dali_cutmix.gpu import KeepAlive, on_device, record
from dali_cutmix.loader.epoch import read_epoch
from dali_cutmix.loader.pipeline_runner import PipelineRunner
from dali_cutmix.loader.to_torch import to_tensors

Batch = tuple[Tensor, ...]


class Position(NamedTuple):
    """A place between two batches: after ``batch`` batches of ``epoch``, and the pipeline's checkpoint there."""

    epoch: int
    batch: int
    checkpoint: bytes


class BatchProducer:
    """The batches of a pipeline, one epoch after the other.

    The consumer may stand one batch behind: while it works on batch 3, batch 4 is produced.

        produced    0 1 2 3 4
        consumed    0 1 2 3

    Args:
        template: the graph, see :func:`dali_cutmix._dali.pipeline_template.as_template`.
        replacement: of its bad samples; None if the graph has a reader of its own.
        replaces: replace what makes a batch fail, or raise.
        finish: makes the batch from the graph's outputs, see :class:`~dali_cutmix.Loader`.
        dtype: of the images, if the graph has no ``finish``.
        drop_last: leave the incomplete last batch out.
        epoch_size: samples of an epoch, if the graph has no reader.

    Raises:
        ValueError: see :func:`dali_cutmix.loader.epoch.read_epoch`.
    """

    def __init__(
        self,
        template: Pipeline,
        replacement: Replacement | None,
        *,
        replaces: bool,
        finish: Callable[..., Batch] | None,
        dtype: torch.dtype | None,
        drop_last: bool,
        epoch_size: int | None = None,
    ) -> None:
        self._template, self._replacement, self._replaces = template, replacement, replaces
        self._finish, self._dtype = finish, dtype
        self._keep_alive = KeepAlive()
        # The consumer's stream is its thread's own, so only work for the CPU is done ahead in another thread.
        self._worker = ThreadPoolExecutor(1, "loader") if finish and template.device_id is None else None
        self._prepared: Future[tuple[Batch, Position]] | None = None
        self.go_to(None, epoch=0, batch=0)
        self.epoch = read_epoch(self._runner.pipe.reader_meta(), template.max_batch_size, drop_last, epoch_size)

    def go_to(self, checkpoint: bytes | None, epoch: int, batch: int) -> None:
        """Continue from another position, with a new pipeline and without what was prepared ahead."""
        self.wait()  # it may still replace samples: a pipeline built before would not know
        # May fail: then nothing has changed.
        runner = PipelineRunner(self._template, self._replacement, self._replaces, checkpoint)
        self._prepared = None
        self._runner = runner
        self.position = self._produced = Position(epoch, batch, runner.checkpoint)
        """Where the consumer is: after the last batch that it was given."""

    def wait(self) -> None:
        """Wait until no batch is being prepared: what it reads may then be changed."""
        if self._prepared is not None:
            wait([self._prepared])

    def next(self) -> Batch:
        """Give the consumer the next batch.

        Raises:
            DecodeError: a file could not be decoded, or too many; the next call tries the same batch again.
        """
        if self._worker is None:
            batch, self.position = self._produce()
            return batch
        prepared = self._prepared or self._worker.submit(self._produce)
        self._prepared = None
        batch, self.position = prepared.result()
        self._prepared = self._worker.submit(self._produce)
        return batch

    def _produce(self) -> tuple[Batch, Position]:
        """The next batch, and the consumer's position once it has it."""
        epoch, batch, _ = self._produced
        device = self._template.device_id
        while self.epoch.batches <= batch < self.epoch.runs:  # the incomplete batch that training drops
            with on_device(device):
                self._runner.run()
            batch += 1
            self._produced = Position(epoch, batch, self._runner.checkpoint)
        if batch == self.epoch.runs:
            epoch, batch = epoch + 1, 0
        with on_device(device):
            outputs, pipe = self._runner.run(), self._runner.pipe
            tensors = self._finish(*outputs) if self._finish else to_tensors(outputs, pipe, self._dtype)
            if device is not None:
                # DALI takes the memory back on a stream of its own, and would write the next batch into it.
                self._keep_alive.hold(outputs, record(device))
        self._produced = Position(epoch, batch + 1, self._runner.checkpoint)
        real = self.epoch.samples_in(batch)
        return tuple(tensor[:real] for tensor in tensors), self._produced

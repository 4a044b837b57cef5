"""BatchProducer: the batches of a pipeline in order; work for the CPU is done one batch ahead, in a thread."""

from collections.abc import Callable

from nvidia.dali import Pipeline
from torch import Tensor

from dali_cutmix._dali import start_worker
from dali_cutmix.bad_samples import Patience, Replacement
from dali_cutmix.gpu import KeepAlive, on_device, record
from dali_cutmix.loader.epoch import read_epoch
from dali_cutmix.loader.pipeline_runner import PipelineRunner
from dali_cutmix.loader.position import Pass, Position
from dali_cutmix.loader.to_torch import Dtypes, to_tensors
from dali_cutmix.utils import Task

Batch = tuple[Tensor, ...]


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
        dtypes: of the outputs, if the graph has no ``finish``; see :func:`dali_cutmix.loader.to_torch.output_dtypes`.
        drop_last: leave the incomplete last batch out.
        retry: seconds for which storage that fails is waited for.
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
        dtypes: Dtypes,
        drop_last: bool,
        retry: float,
        epoch_size: int | None = None,
    ) -> None:
        self._template, self._replacement, self._replaces = template, replacement, replaces
        self._patience = Patience(retry)
        self._finish, self._dtypes = finish, dtypes
        self._keep_alive = KeepAlive()
        # The consumer's stream is its thread's own, so only work for the CPU is done ahead in another thread.
        self._worker = start_worker(self) if finish and template.device_id is None else None
        self._prepared: Task[tuple[Batch, Position]] | None = None
        self.go_to(Position(0, 0, b"", Pass(0, 0)))
        self.epoch = read_epoch(self._runner.pipe.reader_meta(), template.max_batch_size, drop_last, epoch_size)

    def go_to(self, position: Position) -> None:
        """Continue from another position, with a new pipeline and without what was prepared ahead."""
        self._settled = False
        self._patience.cancel()  # what is prepared is not wanted any more
        self.wait()  # it may still replace samples: a pipeline built before would not know
        # May fail: then nothing has changed.
        self._patience.reset()
        checkpoint = position.checkpoint or None
        runner = PipelineRunner(self._template, self._replacement, self._replaces, self._patience, checkpoint)
        self._runner, self._prepared = runner, None
        self.position = self._produced = position._replace(checkpoint=runner.checkpoint)
        """Where the consumer is: after the last batch that it was given."""
        self._settled = True

    def wait(self) -> None:
        """Wait until no batch is being prepared: what it reads may then be changed."""
        if self._worker is not None:
            self._worker.submit(int).result()  # its only thread has done all that came before

    def discard(self) -> None:
        """Drop what was prepared ahead: the next batch is prepared again, from the consumer's position."""
        self._settled = False

    def next(self) -> Batch:
        """Give the consumer the next batch.

        An interrupt (Ctrl-C) costs no batch: the next call prepares it again, from the consumer's position.

        Raises:
            DecodeError, StorageError: files could not be decoded or read; the next call tries the same batch again.
        """
        if not self._settled:
            self.go_to(self.position)
        # False until the batch is the consumer's: an exception may strike anywhere, and leave the pipeline elsewhere.
        self._settled = False
        if self._worker is None:
            batch, position = self._produce()
        else:
            prepared = self._prepared or self._worker.submit(self._produce)
            try:
                batch, position = prepared.result()
            except BaseException:  # an interrupt of this thread: the other one may be waiting for storage
                self._patience.cancel()
                raise
            self._prepared = self._worker.submit(self._produce)
        self.position = position._replace(current=self.position.current)
        self._settled = True
        return batch

    def _produce(self) -> tuple[Batch, Position]:
        """The next batch, and the consumer's position once it has it."""
        epoch, batch, _, current = self._produced
        device = self._template.device_id
        while self.epoch.batches <= batch < self.epoch.runs:  # the incomplete batch that training drops
            with on_device(device):
                self._runner.run()
            batch += 1
        if batch == self.epoch.runs:
            epoch, batch = epoch + 1, 0
        with on_device(device):
            outputs, pipe = self._runner.run(), self._runner.pipe
            tensors = self._finish(*outputs) if self._finish else to_tensors(outputs, pipe, self._dtypes)
            if device is not None:
                # DALI takes the memory back on a stream of its own, and would write the next batch into it.
                self._keep_alive.hold(outputs, record(device))
        self._produced = Position(epoch, batch + 1, self._runner.checkpoint, current)
        real = self.epoch.samples_in(batch)
        return tuple(tensor[:real] for tensor in tensors), self._produced

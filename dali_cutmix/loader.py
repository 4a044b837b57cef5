"""Loader: epochs of torch tensors from a DALI pipeline, with a state at the consumer's position."""

import base64
from collections.abc import Iterator
from typing import Any

import torch
from nvidia.dali import Pipeline
from torch import Tensor

from dali_cutmix import rebuild, state
from dali_cutmix.diagnose import name_bad_file
from dali_cutmix.graph import notes


class Loader:
    """Iterate over a pipeline; each pass of ``for`` is one epoch.

        graph ──▶ template ──build──▶ pipeline ──run──▶ outputs ──DLPack──▶ torch tensors ──▶ your trainer
                     ▲                    │
                     └── load_state_dict ─┴─ state_dict: where the consumer stands, not the prefetch

    A loader that shuffles (training) drops the incomplete last batch; leaving its ``for`` early leaves the rest of
    the epoch to the next ``for``. One that does not (evaluation) gives every sample exactly once over all shards, the
    last batch smaller (on some ranks empty, so that ``len`` is the same for all), and starts anew at every ``for``.

    Args:
        pipeline: what a function decorated with ``@pipeline_def`` returns, not yet built, with one reader that has
            ``pad_last_batch=True`` (as the verbs' readers have).
        drop_last: drop the incomplete last batch; by default where the samples are shuffled by ``read_folder``.

    Yields:
        A tuple of tensors, one for each output of the graph, on its device, without a copy. An output in layout HWC
        comes as N×C×H×W in channels_last memory format.

    Raises:
        ValueError: the pipeline is built already, has no or several readers, or its shard is smaller than a batch.
        RuntimeError: a file could not be decoded; the message names its path.
    """

    def __init__(self, pipeline: Pipeline, *, drop_last: bool | None = None) -> None:
        self._notes = notes(pipeline)
        self._template = rebuild.as_template(pipeline)
        source = self._notes.source
        self._drop_last = drop_last if drop_last is not None else source is not None and source.seed is not None
        self._pipe = rebuild.build(self._template)
        self._reader, meta = self._one_reader()
        self._total, self._shard = meta["epoch_size"], (meta["shard_id"], meta["number_of_shards"])
        self._batch_size: int = pipeline.max_batch_size
        self._epoch = 0
        self._batch = 0
        self._continues = False
        if len(self) == 0:
            raise ValueError(
                f"batch_size={self._batch_size} given, but the smallest shard holds {self._total // self._shard[1]} "
                f"samples ({self._total} in {self._shard[1]} shards), and training drops incomplete batches; "
                "use a smaller batch or fewer shards."
            )

    def _one_reader(self) -> tuple[str, dict[str, int]]:
        readers = self._pipe.reader_meta()
        if len(readers) != 1:
            raise ValueError(
                f"Loader: the graph has {len(readers)} readers; one is needed, to know where an epoch ends."
            )
        [(name, meta)] = readers.items()
        if not meta["pad_last_batch"]:
            raise ValueError(
                f"Loader: reader {name!r} has pad_last_batch=False, with which DALI repeats some samples and leaves out "
                "others; give it pad_last_batch=True (dc.read_folder does)."
            )
        return name, meta

    def __len__(self) -> int:
        """Batches in an epoch; exact, and the same for all ranks."""
        return self._total // self._shard[1] // self._batch_size if self._drop_last else self._runs

    @property
    def _runs(self) -> int:
        """Runs of the pipeline in an epoch: DALI pads all shards to the largest, in whole batches."""
        largest = -(-self._total // self._shard[1])
        return -(-largest // self._batch_size)

    @property
    def num_samples(self) -> int:
        """Samples that one epoch delivers on this rank."""
        rank, world_size = self._shard
        mine = self._total * (rank + 1) // world_size - self._total * rank // world_size
        return len(self) * self._batch_size if self._drop_last else mine

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order of their labels; empty where the graph has a reader of its own."""
        return self._notes.source.classes if self._notes.source else ()

    @property
    def num_classes(self) -> int:
        """Number of classes in the source; K is at least this."""
        return len(self.classes)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        if self._batch == len(self):
            self._next_epoch()
        elif self._batch and not self._drop_last and not self._continues:
            self._pipe, self._batch = rebuild.build(self._template), 0
        self._continues = False
        while self._batch < len(self):
            batch = self._take()
            self._batch += 1
            yield batch

    def _next_epoch(self) -> None:
        for _ in range(self._runs - self._batch):
            self._run()
        self._epoch, self._batch = self._epoch + 1, 0

    def _run(self) -> tuple[Any, ...]:
        device = self._pipe.device_id
        stream = None if device is None else torch.cuda.current_stream(device)
        before = self._pipe.checkpoint()
        try:
            return self._pipe.run(stream)
        except RuntimeError as error:
            jpegs = self._notes.jpegs
            raise name_bad_file(error, self._template, jpegs, self._reader, before) from error

    def _take(self) -> tuple[Tensor, ...]:
        left = self.num_samples - self._batch * self._batch_size
        return tuple(self._hand_off(output)[: max(left, 0)] for output in self._run())

    def _hand_off(self, output: Any) -> Tensor:
        tensor = torch.from_dlpack(output.as_tensor())
        if self._pipe.device_id is not None:  # labels that the graph left on the CPU
            tensor = tensor.to(f"cuda:{self._pipe.device_id}", non_blocking=True)
        if not self._pipe.exec_dynamic:  # these executors write the next batch into the same memory
            tensor = tensor.clone()
        if output.layout() == "HWC":
            tensor = tensor.permute(0, 3, 1, 2)
        is_image = output.layout() in ("HWC", "CHW")
        return tensor.to(self._notes.dtype) if is_image and self._notes.dtype else tensor

    def _binding(self) -> dict[str, Any]:
        source = self._notes.source
        return {
            "batch_size": self._batch_size,
            "rank": self._shard[0],
            "world_size": self._shard[1],
            "num_samples": self._total,
            "files": source.digest if source else None,
            "shuffle_seed": source.seed if source else None,
            "seed": self._template.seed,
            "mix": repr(self._notes.policy),
            "drop_last": self._drop_last,
        }

    def state_dict(self) -> state.State:
        """The state after the batch that was delivered last; a few kilobytes of str, int and None."""
        checkpoint = base64.b64encode(self._pipe.checkpoint()).decode()
        return state.pack(self._binding(), epoch=self._epoch, batch=self._batch, pipeline=checkpoint)

    def load_state_dict(self, saved: state.State) -> None:
        """Continue, bit for bit, after the batch that was delivered last when ``saved`` was taken.

        Raises:
            ValueError: ``saved`` belongs to a loader that differs, or to another version; both values are named.
        """
        state.check(saved, self._binding())
        self._pipe = rebuild.build(self._template, base64.b64decode(saved["pipeline"]))
        self._epoch, self._batch = saved["epoch"], saved["batch"]
        self._continues = True

"""Loader: epochs of torch tensors from a DALI pipeline, with a state at the consumer's position."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from typing import Any, Literal, NamedTuple

import torch
from nvidia.dali import Pipeline
from torch import Tensor

from dali_cutmix._dali import pipeline_template
from dali_cutmix.bad_samples import DecodeError, Replacement
from dali_cutmix.gpu import KeepAlive, nvjpeg_limits, on_device, record, warn_of_cpu_decoding
from dali_cutmix.loader import state
from dali_cutmix.loader.epoch import read_epoch
from dali_cutmix.loader.pipeline_runner import Running
from dali_cutmix.loader.to_torch import hand_off
from dali_cutmix.ops import notes

Batch = tuple[Tensor, ...]


class _Position(NamedTuple):
    """After ``batch`` batches of ``epoch``, and the pipeline's checkpoint there."""

    epoch: int
    batch: int
    checkpoint: bytes


class Loader:
    """Iterate over a pipeline; each pass of ``for`` is one epoch.

        graph ──▶ template ──build──▶ pipeline ──run──▶ outputs ──DLPack──▶ torch tensors ──▶ your trainer
                     ▲                    │
                     ├── load_state_dict ─┴─ state_dict: where the consumer stands, not the prefetch
                     └── a bad file: replaced, and on from before its batch

    A loader that shuffles (training) drops the incomplete last batch; leaving its ``for`` early leaves the rest of
    the epoch to the next ``for``. One that does not (evaluation) gives every sample exactly once over all shards, the
    last batch smaller (on some ranks empty, so that ``len`` is the same for all), and starts anew at every ``for``.

    Args:
        pipeline: what a function decorated with ``@pipeline_def`` returns, not yet built, with one reader that has
            ``pad_last_batch=True`` (as the verbs' readers have).
        finish: makes the batch at the hand-off from the graph's outputs (:class:`~dali_cutmix.FusedMix`): on the CPU
            one batch ahead, on a GPU on the consumer's stream. The outputs live until that stream has done it; what it
            returns must not share their memory.
        drop_last: drop the incomplete last batch; by default where the samples are shuffled by the verb that reads.
        on_error: what to do about a file that cannot be decoded: ``"raise"``, or ``"replace"`` it for good by the next
            good one of the shard's list and go on; no other sample is lost.
        max_bad: share of all samples that may be replaced; with more, the loader gives up.
        bad_log: file to which paths and reasons of replaced samples are appended, one JSON object a line.

    Yields:
        A tuple of tensors, one for each output of the graph, on its device; on a CPU without a copy. An output in
        layout HWC comes as N×C×H×W in channels_last memory format.

    Raises:
        ValueError: the pipeline is built already, has no or several readers, runs on a GPU without DALI's dynamic
            executor, or its shard is smaller than a batch.
        DecodeError: a file could not be decoded; the message names its path. Or too many could not.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        finish: Callable[..., Batch] | None = None,
        drop_last: bool | None = None,
        on_error: Literal["raise", "replace"] = "raise",
        max_bad: float = 0.01,
        bad_log: str | os.PathLike[str] = "bad_files.jsonl",
    ) -> None:
        self._notes = notes(pipeline)
        source = self._notes.source
        if on_error not in ("raise", "replace"):
            raise ValueError(f"on_error={on_error!r} given; allowed are 'raise' and 'replace'.")
        if on_error == "replace" and source is None:
            raise ValueError("on_error='replace' given with a reader of your own; read with one of dc.read_… instead.")
        if pipeline.device_id is not None and not pipeline.exec_dynamic:
            raise ValueError(
                f"Loader: a pipeline for a GPU without DALI's dynamic executor given (exec_dynamic="
                f"{pipeline.exec_dynamic!r}); its outputs would be overwritten while PyTorch reads them. Leave "
                "exec_dynamic, exec_async and exec_pipelined out: True is DALI's default of each."
            )
        if pipeline.device_id is not None and source is not None:
            warn_of_cpu_decoding(source, regions=self._notes.decodes_regions)
        self._replaces = on_error == "replace"
        self._replacement = Replacement(source, max_bad, bad_log, check=self._replaces) if source else None
        self._template = pipeline_template.as_template(pipeline)
        self._finish = finish
        self._keep_alive = KeepAlive()
        # The consumer's stream is its thread's own, so only work for the CPU is done ahead in another thread.
        self._worker = ThreadPoolExecutor(1, "loader") if finish and pipeline.device_id is None else None
        if drop_last is None:
            drop_last = source is not None and source.seed is not None
        self._prepared: Future[tuple[Batch, _Position]] | None = None
        self._start(None, epoch=0, batch=0)
        self._epoch = read_epoch(self._running.pipe.reader_meta(), pipeline.max_batch_size, drop_last)
        self._continues = False
        self._binding()  # a name that is bound twice is refused now, not at the first checkpoint

    def _start(self, checkpoint: bytes | None, epoch: int, batch: int) -> None:
        """Go to a position: with a new pipeline, and without what was prepared ahead."""
        if self._prepared is not None:  # it may still replace samples: a pipeline built before would not know
            wait([self._prepared])
        # May fail: then nothing has changed.
        running = Running(self._template, self._replacement, self._replaces, checkpoint)
        self._prepared = None
        self._running = running
        self._delivered = self._produced = _Position(epoch, batch, running.checkpoint)

    def _go_back(self) -> None:
        """To where the consumer stands, from where it went on."""
        self._start(self._delivered.checkpoint, self._delivered.epoch, self._delivered.batch)

    def __len__(self) -> int:
        """Batches in an epoch; exact, and the same for all ranks."""
        return self._epoch.batches

    @property
    def num_samples(self) -> int:
        """Samples that one epoch delivers on this rank."""
        return self._epoch.samples

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order of their labels; empty where what is read does not tell them."""
        return self._notes.source.classes if self._notes.source else ()

    @property
    def num_classes(self) -> int:
        """The least number of classes that the labels need; 0 where what is read does not tell it."""
        return self._notes.source.num_classes if self._notes.source else 0

    @property
    def mixup_enabled(self) -> bool:
        """Whether batches are mixed (timm's name); settable, from the next batch on. The state has it."""
        mixing = self._notes.mixing
        return mixing is not None and mixing.policy is not None and mixing.enabled

    @mixup_enabled.setter
    def mixup_enabled(self, enabled: bool) -> None:
        if self.mixup_enabled == enabled:
            return
        mixing = self._notes.mixing
        if mixing is None or mixing.policy is None:
            raise ValueError("mixup_enabled=True given, but the graph has no mixing policy; build the loader with one.")
        mixing.enabled = enabled
        self._go_back()  # what was prepared ahead was mixed as before

    def __iter__(self) -> Iterator[Batch]:
        if not self._epoch.drop_last and 0 < self._delivered.batch < len(self) and not self._continues:
            self._start(None, epoch=self._delivered.epoch, batch=0)
        self._continues = False
        while True:
            batch, self._delivered = self._next()
            yield batch
            if self._delivered.batch == len(self):
                return

    def _next(self) -> tuple[Batch, _Position]:
        if self._worker is None:
            return self._produce()
        prepared = self._prepared or self._worker.submit(self._produce)
        self._prepared = None
        result = prepared.result()
        self._prepared = self._worker.submit(self._produce)
        return result

    def _produce(self) -> tuple[Batch, _Position]:
        """The next batch, and where the consumer stands once it has it."""
        epoch, batch, _ = self._produced
        while len(self) <= batch < self._epoch.runs:  # the incomplete batch that training drops
            with on_device(self._template.device_id):
                self._running.run()
            batch += 1
            self._produced = _Position(epoch, batch, self._running.checkpoint)
        if batch == self._epoch.runs:
            epoch, batch = epoch + 1, 0
        device = self._template.device_id
        with on_device(device):
            outputs, pipe = self._running.run(), self._running.pipe
            tensors = self._finish(*outputs) if self._finish else hand_off(outputs, pipe, self._notes.dtype)
            if device is not None:
                # DALI takes the memory back on a stream of its own, and would write the next batch into it.
                self._keep_alive.hold(outputs, record(device))
        self._produced = _Position(epoch, batch + 1, self._running.checkpoint)
        real = self._epoch.in_batch(batch)
        return tuple(tensor[:real] for tensor in tensors), self._produced

    def _binding(self) -> dict[str, Any]:
        source, mixing = self._notes.source, self._notes.mixing
        own = {
            **asdict(self._epoch),
            "files": source.digest if source else None,
            "shuffle_seed": source.seed if source else None,
            "seed": self._template.seed,
            **{name: repr(value) for name, value in self._notes.crop.items()},
            **(mixing.binding() if mixing else {"mix": None}),
            "fused": self._finish is not None,
        }
        return state.bind(own, self._notes.bound)

    def _decoder(self) -> dict[str, Any]:
        """What pixels depend on beyond what a state is bound to."""
        device = self._template.device_id
        if device is None:
            return {"gpu": None, "nvjpeg": None, **self._notes.decoder}
        library = nvjpeg_limits.library()
        version = ".".join(map(str, library.version)) if library else None
        return {"gpu": torch.cuda.get_device_name(device), "nvjpeg": version, **self._notes.decoder}

    def state_dict(self) -> state.State:
        """The state after the batch that was delivered last; a few kilobytes of str, int, bool, list and None."""
        epoch, batch, checkpoint = self._delivered
        return state.pack(
            self._binding(),
            epoch=epoch,
            batch=batch,
            checkpoint=checkpoint,
            decoder=self._decoder(),
            mixup_enabled=self.mixup_enabled,
            bad=self._replacement.bad if self._replacement else [],
        )

    def load_state_dict(self, saved: state.State) -> None:
        """Continue, bit for bit, after the batch that was delivered last when ``saved`` was taken.

        Warns where another decoder (GPU, nvJPEG or ``hw_decoder_load``) made the batches before: then order, crops and
        mixing go on exactly, and pixels may differ by a level or two.

        Raises:
            ValueError: ``saved`` belongs to a loader that differs, or to another version; both values are named.
        """
        state.check(saved, self._binding())
        checkpoint = state.checkpoint(saved, self._running.checkpoint)
        state.warn_of_another_decoder(saved, self._decoder())
        mixing, replacement = self._notes.mixing, self._replacement
        before = mixing and mixing.enabled, replacement.bad if replacement else []
        self._apply(saved["mixup_enabled"] or not (mixing and mixing.policy), saved["bad"])
        try:
            self._start(checkpoint, saved["epoch"], saved["batch"])
        except DecodeError:
            self._apply(*before)
            raise
        except RuntimeError as error:
            self._apply(*before)
            self._go_back()
            raise ValueError(
                "load_state_dict: the state was saved by a graph with other operators and cannot be "
                "continued exactly. Build the loader as it was when the state was saved. DALI says: "
                f"{error}"
            ) from error
        self._continues = True

    def _apply(self, mixup_enabled: bool, bad: list[int]) -> None:
        if self._prepared is not None:  # nobody may read what changes here
            wait([self._prepared])
        if self._notes.mixing:
            self._notes.mixing.enabled = mixup_enabled
        if self._replacement and bad != self._replacement.bad:
            self._replacement.set(bad)

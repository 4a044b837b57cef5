"""Loader: epochs of torch tensors from a DALI pipeline, with a state at the consumer's position."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from nvidia.dali import Pipeline

from dali_cutmix._dali import MOST, pipeline_template
from dali_cutmix.bad_samples import Replacement
from dali_cutmix.fused import FusedMix
from dali_cutmix.gpu import warn_of_cpu_decoding
from dali_cutmix.loader.batch_producer import Batch, BatchProducer
from dali_cutmix.loader.claim import claim, unclaimed
from dali_cutmix.loader.dataset import DataLoaderNames
from dali_cutmix.loader.finish import as_finish
from dali_cutmix.loader.mixes import Mixes
from dali_cutmix.loader.passes import Passes
from dali_cutmix.loader.saver import Saver
from dali_cutmix.loader.state import State
from dali_cutmix.loader.to_torch import output_dtypes
from dali_cutmix.utils import Uncopyable, check_choice, check_seconds, check_whole


class Loader(DataLoaderNames, Uncopyable):
    """Iterate over a pipeline; each ``for`` loop is one epoch.

        graph ──▶ template ──build──▶ pipeline ──run──▶ outputs ──DLPack──▶ torch tensors ──▶ your trainer
                     ▲                    │
                     ├── load_state_dict ─┴─ state_dict: the consumer's position, not that of the prefetch
                     └── a bad file: replaced, and on from before its batch

    Each pass delivers ``len(loader)`` batches. With shuffled samples (training) the incomplete last batch of an epoch
    is dropped, and the pass after an early ``break`` continues with the batch that comes next. Without shuffling
    (evaluation) each sample comes exactly once over all shards, the last batch is smaller (on some ranks empty, so that
    ``len`` is the same for all), and each pass starts anew. A loader has one position: a pass raises a RuntimeError
    once a newer one has begun. After ``load_state_dict`` the first pass delivers the rest of the one that was saved.

    Ten samples on three ranks, ``batch_size=2``:

                   training (drop_last)       evaluation
        rank 0     2 samples, len 1           2, 1 samples, len 2
        rank 1     2 samples, len 1           2, 1 samples, len 2
        rank 2     2 samples, len 1           2, 2 samples, len 2

    Args:
        pipeline: what a function decorated with ``@pipeline_def`` returns, not yet built, for this loader alone, with
            exactly one reader (or none and ``epoch_size``), which has ``pad_last_batch=True`` (the verbs' readers do).
        finish: makes the batch from the graph's outputs (:class:`~dali_cutmix.FusedMix`, or several in a tuple): on a
            CPU one batch ahead in a thread, on a GPU on the consumer's stream. The outputs live until that stream has
            used them; the result must not share their memory.
        drop_last: drop the incomplete last batch; by default if the verb that reads shuffles.
        epoch_size: samples of an epoch on this rank, for a graph whose data comes from ``fn.external_source`` alone,
            by a function of ``types.SampleInfo`` or ``types.BatchInfo``; give ``drop_last=True`` for training.
        on_error: what to do about a file that cannot be decoded: ``"raise"``, or ``"replace"`` it from then on by the
            next good one in the shard's list and continue; no other sample is lost.
        max_bad: largest fraction of all samples that may be replaced; with more, the loader gives up.
        bad_log: file to which paths and reasons of replaced samples are appended, one JSON object a line.
        retry: seconds for which failing storage (a folder or a disk that is away) is tried again before the loader
            gives up; no file is called bad for it. A single file that is missing among others is a bad one at once.
        after_break: what follows a pass that was left early: ``"continue"`` with the next batch (the default with
            shuffled samples, and without a verb's reader with ``drop_last=True``), or ``"restart"`` with a new epoch,
            which is always the first one of a reader of your own.
        steps_per_epoch: batches in a pass, if not those of an epoch: passes then run on across epochs.

    Yields:
        A tuple of tensors, one for each output of the graph, on its device; on a CPU without a copy. An output in
        layout HWC comes as N×C×H×W in channels_last memory format.

    Raises:
        ValueError: an invalid argument, or the pipeline has been built already, belongs to another loader, has no
            reader or several, runs on a GPU without DALI's dynamic executor, or its shard is smaller than a batch.
        DecodeError: a file could not be decoded, the message has its path; or too many could not.
        StorageError: files could not be read for ``retry`` seconds.

    Example:
        >>> @pipeline_def(**dc.pipeline_options(batch_size=4, device="cpu"))
        ... def graph():
        ...     jpegs, labels = dc.read_folder("photos")
        ...     images = dc.random_resized_crop(jpegs, 64)
        ...     images, targets = dc.mix(images, labels, dc.CutMix())
        ...     return dc.normalize(images), targets
        >>> loader = dc.Loader(graph())
        >>> for images, targets in loader:
        ...     pass  # train
        >>> len(loader), images.shape, targets.shape
        (4, torch.Size([4, 3, 64, 64]), torch.Size([4, 2]))

        Stop anywhere, and continue bit for bit in another process:

        >>> images, _ = next(iter(loader))
        >>> state = loader.state_dict()
        >>> resumed = dc.Loader(graph())
        >>> resumed.load_state_dict(state)
        >>> torch.equal(next(iter(resumed))[0], next(iter(loader))[0])
        True
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        finish: Callable[..., Batch] | Sequence[FusedMix] | None = None,
        drop_last: bool | None = None,
        epoch_size: int | None = None,
        on_error: Literal["raise", "replace"] = "raise",
        max_bad: float = 0.01,
        bad_log: str | os.PathLike[str] = "bad_files.jsonl",
        retry: float = 60.0,
        after_break: Literal["continue", "restart"] | None = None,
        steps_per_epoch: int | None = None,
    ) -> None:
        check_choice("on_error", on_error, ("raise", "replace"))
        if after_break is not None:
            check_choice("after_break", after_break, ("continue", "restart"))
        if steps_per_epoch is not None:
            steps_per_epoch = check_whole("steps_per_epoch", steps_per_epoch)
        self._graph = unclaimed(pipeline)
        self._mixes = Mixes(self._graph.mixes)
        source, replaces, on_gpu = self._graph.source, on_error == "replace", pipeline.device_id is not None
        if replaces and source is None:
            raise ValueError("on_error='replace' given with a reader of your own; read with one of dc.read_… instead.")
        if on_gpu and not pipeline.exec_dynamic:
            raise ValueError(
                f"Loader: a pipeline for a GPU without DALI's dynamic executor given (exec_dynamic="
                f"{pipeline.exec_dynamic!r}); its outputs would be overwritten while PyTorch reads them. Leave "
                "exec_dynamic, exec_async and exec_pipelined out: True is DALI's default of each."
            )
        if on_gpu and source is not None:
            warn_of_cpu_decoding(source, regions=self._graph.decodes_regions)
        self._replacement = Replacement(source, max_bad, bad_log, check=replaces) if source else None
        self._template = pipeline_template.as_template(pipeline)
        dtypes = output_dtypes(pipeline)
        finish = as_finish(finish, pipeline, dtypes)
        self._fed = epoch_size is not None
        shuffles = source is not None and source.seed is not None
        drop_last = shuffles if drop_last is None else drop_last
        if steps_per_epoch is not None and not drop_last:
            raise ValueError(
                f"steps_per_epoch={steps_per_epoch} given with drop_last=False; passes that run on across epochs need "
                "whole batches: leave steps_per_epoch out (it is for training), or give dc.Loader drop_last=True."
            )
        self._producer = BatchProducer(
            self._template,
            self._replacement,
            replaces=replaces,
            finish=finish,
            dtypes=dtypes,
            drop_last=drop_last,
            retry=check_seconds("retry", retry),
            epoch_size=epoch_size,
        )
        self._epoch = self._producer.epoch
        trains = shuffles if source else drop_last
        self._passes = Passes(
            self._producer,
            source,
            steps_per_epoch or self._epoch.batches,
            continues=after_break == "continue" or (after_break is None and trains),
            fed=self._fed,
        )
        self._saver = Saver(
            self._template, self._producer, self._passes, self._mixes, self._replacement, fused=finish is not None
        )
        claim(pipeline, self._producer)  # an iterator keeps it alive, too

    def __len__(self) -> int:
        """Batches in a pass; exact, and the same on all ranks."""
        return self._passes.length

    @property
    def mixup_enabled(self) -> bool:
        """Whether any mix of the graph is on (timm's name); set, it switches all, from the next batch on."""
        return any(self.mixes.values())

    @mixup_enabled.setter
    def mixup_enabled(self, enabled: bool) -> None:
        self._switch(self._mixes.all(enabled))

    @property
    def mixes(self) -> dict[str, bool]:
        """Whether each mix of the graph is on, by its name; never one whose policy is None. Part of the state."""
        return self._mixes.enabled

    def switch_mix(self, name: str, enabled: bool) -> None:
        """Switch one of several mixes on or off, from the next batch on. One that is off only flips.

        Args:
            name: what ``dc.mix`` was given; by default ``"mix"``, ``"mix_2"``, … in the order of the calls.
            enabled: on or off.

        Raises:
            ValueError: ``enabled`` is not a bool, the graph has no such mix, or its policy is None.
        """
        self._switch(self._mixes.one(name, enabled))

    def _switch(self, enabled: dict[str, bool]) -> None:
        with self._passes.exclusive():
            if self._mixes.changed_by(enabled):
                self._producer.discard()  # what was prepared ahead was mixed as before
                self._mixes.apply(enabled)

    @property
    def epoch(self) -> int:
        """Number of the pass that goes on, or of the next one if that is complete; from 0."""
        return self._passes.epoch

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be pass ``epoch``, from its start: the samples come in that epoch's order.

        It is what ``set_epoch`` of PyTorch's ``DistributedSampler`` is, but passes have different orders without it,
        too. Nothing changes if the next pass is that whole one anyway, or if a state from within it was loaded: then
        its rest comes next. Random crops and mixing go on from where they are.

        Args:
            epoch: from 0.

        Raises:
            ValueError: it is not a whole number of 0 or more, or too large. When the pass begins: the graph has a
                reader of its own, and its next pass is another one.
        """
        self._passes.want_epoch(check_whole("epoch", epoch, least=0, most=MOST // len(self) - 1))

    def __iter__(self) -> Iterator[Batch]:
        return self._passes.start()

    def state_dict(self) -> State:
        """The state after the last delivered batch; a few kilobytes of str, int, bool, list, dict and None."""
        with self._passes.exclusive():
            return self._saver.save()

    def load_state_dict(self, saved: State) -> None:
        """Continue, bit for bit, after the last batch that was delivered when ``saved`` was taken.

        Warns if another decoder (GPU, nvJPEG or ``hw_decoder_load``) made the batches before: order, crops and mixing
        then continue exactly, and pixels may differ by a level or two.

        Raises:
            ValueError: ``saved`` is damaged, or belongs to a loader that differs or to another version; the message has
                both values.
        """
        with self._passes.exclusive():
            self._saver.load(saved)

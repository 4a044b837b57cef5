"""Saver: takes the state of a loader, and puts a loader where a state was taken."""

from typing import Any

from nvidia.dali import Pipeline

from dali_cutmix.bad_samples import DecodeError, Replacement
from dali_cutmix.loader import state
from dali_cutmix.loader.batch_producer import BatchProducer
from dali_cutmix.loader.mixes import Mixes
from dali_cutmix.loader.passes import Passes
from dali_cutmix.ops import notes


class Saver:
    """Takes the state of a loader from its parts, and restores them from one.

    Args:
        template: the graph.
        producer, passes: the position.
        mixes: which of them are on.
        replacement: which samples are replaced; None if the graph has a reader of its own.
        fused: whether ``finish`` makes the batches.

    Raises:
        ValueError: the graph binds the state to one name twice.
    """

    def __init__(
        self,
        template: Pipeline,
        producer: BatchProducer,
        passes: Passes,
        mixes: Mixes,
        replacement: Replacement | None,
        *,
        fused: bool,
    ) -> None:
        self._graph, self._template, self._fused = notes(template), template, fused
        self._producer, self._passes, self._mixes, self._replacement = producer, passes, mixes, replacement
        self._binding()

    def _binding(self) -> dict[str, Any]:
        return state.make_binding(self._graph, self._producer.epoch, self._template.seed, self._fused)

    def _decoder(self) -> dict[str, Any]:
        return state.describe_decoder(self._graph, self._template.device_id)

    @property
    def _bad(self) -> list[int]:
        return self._replacement.bad if self._replacement else []

    def save(self) -> state.State:
        """The state at the consumer's position."""
        position = self._producer.position
        return state.pack(
            self._binding(),
            epoch=position.epoch,
            batch=position.batch,
            checkpoint=position.checkpoint,
            pass_number=position.current.number,
            pass_step=self._passes.step,
            decoder=self._decoder(),
            mixup_enabled=self._mixes.packed,
            bad=self._bad,
        )

    def load(self, saved: state.State) -> None:
        """Restore a state; if that fails, everything is as before.

        Raises:
            ValueError: the state belongs to another loader, or is damaged.
            DecodeError: a sample cannot be read.
        """
        source = self._graph.source
        state.check(saved, self._binding(), source.interchangeable if source else None)
        position = state.position(
            saved,
            self._producer.position.checkpoint,
            self._producer.epoch,
            shuffles=None if source is None else source.seed is not None,
            fed=self._passes.fed,
        )
        enabled, before = self._mixes.unpack(saved["mixup_enabled"]), (self._mixes.enabled, self._bad)
        position_before = self._producer.position
        state.warn_of_another_decoder(saved, self._decoder())
        try:
            self._apply(enabled, saved["bad"])
            self._producer.go_to(position)
            self._passes.resume()
        except BaseException as error:
            self._producer.position = position_before
            self._apply(*before)
            self._producer.discard()
            if not isinstance(error, RuntimeError) or isinstance(error, DecodeError):
                raise
            raise ValueError(
                "load_state_dict: the state was saved by a graph with other operators and cannot be "
                "continued exactly. Build the loader as it was when the state was saved. DALI says: "
                f"{error}"
            ) from error

    def _apply(self, enabled: dict[str, bool], bad: list[int]) -> None:
        """Set what a state holds beside the position."""
        self._producer.wait()  # a batch that is being prepared reads both
        self._mixes.apply(enabled)
        if self._replacement and bad != self._replacement.bad:
            self._replacement.set(bad)

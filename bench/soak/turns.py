"""Turns of a soak: a loader is stopped, resumed, rebuilt and left at random, and must give the same all the same."""

import hashlib
import itertools
import json
import random
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

import dali_cutmix as dc
from bench.soak.damaged_copies import Copies
from bench.soak.loader_kinds import Kind

EPOCHS = 2
CHANCE = 0.12
"""Of each act, after each batch."""
KEPT = 6
"""States that a turn may go back to."""

Batch = tuple[torch.Tensor, ...]


class SoakError(RuntimeError):
    """A loader gave what it should not have given."""


@dataclass
class Counts:
    """What was tried."""

    batches: int = 0
    resumes: int = 0
    exits: int = 0
    toggles: int = 0
    bad: int = 0
    turns: int = 0


@dataclass
class Soak:
    """Takes turns.

    Args:
        copies: the images.
        device: of the loaders.
        log: for bad files, written anew in each turn.
        rng: what happens.
    """

    copies: Copies
    device: str
    log: Path
    rng: random.Random
    counts: Counts = field(default_factory=Counts)
    _references: dict[Kind, dict[tuple[bool, int, int], str]] = field(default_factory=dict)

    def make(self, kind: Kind, listed: bool = False) -> dc.Loader:
        """A new loader; of a list of files, which may name some that are gone, or of a folder."""
        root: Any = self.copies.shards if kind.packed else self.copies.files
        if listed and not kind.packed:
            root = partial(dc.read_files, self.copies.listing)
        return kind.make(root, self.device, self.log)

    def turn(self, kind: Kind) -> None:
        """Good files, then files that get bad and good again.

        Raises:
            SoakError: a batch differs from an uninterrupted run's, a good sample is missing, or the loader raised.
        """
        try:
            self.undisturbed(kind)
            self.disturbed(kind)
        except SoakError:
            raise
        except Exception as error:
            traceback.print_exc()
            raise SoakError(f"{kind}: {type(error).__name__}: {error}") from error
        self.counts.turns += 1

    def undisturbed(self, kind: Kind) -> None:
        """Every batch is, to the bit, what it was in a run that nothing interrupted."""
        if kind not in self._references:
            self._references[kind] = self._reference(kind)
        expected = self._references[kind]
        for loader, state, batch in self._wander(partial(self.make, kind)):
            place = loader.mixup_enabled, *_place(kind, state)
            if expected[place] != _digest(batch):
                raise SoakError(f"{kind}: batch {state['batch']} of epoch {state['epoch']} differs after a resume.")

    def _reference(self, kind: Kind) -> dict[tuple[bool, int, int], str]:
        found = {}
        for enabled in (True, False) if kind.mix else (False,):
            loader = self.make(kind)
            loader.mixup_enabled = enabled
            for _ in range(EPOCHS):
                for batch in loader:
                    found[enabled, *_place(kind, loader.state_dict())] = _digest(batch)
        return found

    def disturbed(self, kind: Kind) -> None:
        """Every sample that was good all the time comes in every epoch, and no good one is recorded as bad."""
        self.log.unlink(missing_ok=True)
        ever: set[int] = set()
        labels: defaultdict[int, dict[int, list[int]]] = defaultdict(dict)
        try:
            for loader, state, batch in self._wander(partial(self.make, kind, True), lambda: self._meddle(ever)):
                epoch = labels[state["epoch"]]
                epoch[state["batch"]] = (batch[1] if batch[1].ndim == 1 else batch[1][:, 0]).tolist()
                if len(epoch) == len(loader):
                    lost = set(range(len(self.copies))) - ever - set(itertools.chain(*epoch.values()))
                    if lost:
                        raise SoakError(f"{kind}: samples {sorted(lost)} are good and did not come in an epoch.")
        finally:
            self.copies.mend()
        recorded = self._recorded(kind)
        if recorded - ever:
            raise SoakError(f"{kind}: samples {sorted(recorded - ever)} are good and were recorded as bad.")
        self.counts.bad += len(ever)

    def _meddle(self, ever: set[int]) -> None:
        if self.rng.random() < CHANCE:
            self.copies.mend()
        if self.rng.random() < CHANCE:
            ever.add(self.copies.spoil())

    def _recorded(self, kind: Kind) -> set[int]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return {self.copies.number_of(json.loads(line)["path"], kind.packed) for line in lines}

    def _wander(
        self, make: Callable[[], dc.Loader], between: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[dc.Loader, dict[str, Any], Batch]]:
        """Batches of a few epochs with what users and accidents do between them: the loader, its state, the batch."""
        loader, states, taken = make(), [""], 0
        mixes = loader.mixup_enabled
        most = 2 * EPOCHS * len(loader)
        while taken < most:
            for batch in loader:
                taken += 1
                self.counts.batches += 1
                state = loader.state_dict()
                yield loader, state, batch
                if state["batch"] == len(loader) and state["epoch"] == EPOCHS - 1:
                    return
                states = [*states[-KEPT:], json.dumps(state)]
                between()
                if self._happens():
                    self.counts.exits += 1
                    break
                if mixes and self._happens():
                    loader.mixup_enabled = not loader.mixup_enabled
                    self.counts.toggles += 1
            if saved := self.rng.choice(states):
                if self._happens(0.5):
                    loader = make()
                loader.load_state_dict(json.loads(saved))
                self.counts.resumes += 1

    def _happens(self, chance: float = CHANCE) -> bool:
        return self.rng.random() < chance


def _place(kind: Kind, state: dict[str, Any]) -> tuple[int, int]:
    """Epoch and batch; one epoch of evaluation is like another."""
    return 0 if kind.name == "val" else state["epoch"], state["batch"]


def _digest(batch: Batch) -> str:
    found = hashlib.blake2b()
    for tensor in batch:
        found.update(tensor.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()

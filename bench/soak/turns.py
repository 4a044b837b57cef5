"""Turns of a soak: a loader is stopped, resumed and rebuilt at random, and must yield the same batches nevertheless."""

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
from bench.soak.damaged_copies import DamagedCopies
from bench.soak.loader_kinds import LoaderKind

EPOCHS = 2
CHANCE = 0.12
"""Probability of each event after each batch."""
KEPT = 6
"""Number of states to which a turn may go back."""

Outputs = tuple[torch.Tensor, ...]


class SoakError(RuntimeError):
    """A loader raised, or its batches are not those that they should be."""


@dataclass
class SoakCounts:
    """How often each event occurred."""

    batches: int = 0
    resumes: int = 0
    exits: int = 0
    toggles: int = 0
    bad: int = 0
    turns: int = 0


@dataclass
class Soak:
    """A soak, which takes turns.

    Args:
        copies: the images.
        device: device of the loaders.
        log: file for the records of bad files, new in each turn.
        rng: chooses the events.
    """

    copies: DamagedCopies
    device: str
    log: Path
    rng: random.Random
    counts: SoakCounts = field(default_factory=SoakCounts)
    _references: dict[LoaderKind, dict[tuple[bool, int, int], str]] = field(default_factory=dict)

    def make(self, kind: LoaderKind, listed: bool = False) -> dc.Loader:
        """Make a new loader, of a folder or of a list of files, some of which may be gone."""
        root: Any = self.copies.shards if kind.packed else self.copies.files
        if listed and not kind.packed:
            root = partial(dc.read_files, self.copies.listing)
        return kind.make(root, self.device, self.log)

    def turn(self, kind: LoaderKind) -> None:
        """Run a loader on good files, then on files that are damaged and restored.

        Raises:
            SoakError: a batch differs from an uninterrupted run's, a good sample is missing, or the loader raised.
        """
        try:
            self.check_resumes(kind)
            self.check_bad_files(kind)
        except SoakError:
            raise
        except Exception as error:
            traceback.print_exc()
            raise SoakError(f"{kind}: {type(error).__name__}: {error}") from error
        self.counts.turns += 1

    def check_resumes(self, kind: LoaderKind) -> None:
        """Check that every batch is, bit for bit, that of an uninterrupted run."""
        if kind not in self._references:
            self._references[kind] = self._reference(kind)
        expected = self._references[kind]
        for loader, state, batch in self._interrupted_batches(partial(self.make, kind)):
            position = loader.mixup_enabled, *_position(kind, state)
            if expected[position] != _digest(batch):
                raise SoakError(f"{kind}: batch {state['batch']} of epoch {state['epoch']} differs after a resume.")

    def _reference(self, kind: LoaderKind) -> dict[tuple[bool, int, int], str]:
        found = {}
        for enabled in (True, False) if kind.mix else (False,):
            loader = self.make(kind)
            loader.mixup_enabled = enabled
            for _ in range(EPOCHS):
                for batch in loader:
                    found[enabled, *_position(kind, loader.state_dict())] = _digest(batch)
        return found

    def check_bad_files(self, kind: LoaderKind) -> None:
        """Check that every sample that was never damaged comes in every epoch and is not recorded as bad."""
        self.log.unlink(missing_ok=True)
        ever: set[int] = set()
        labels: defaultdict[int, dict[int, list[int]]] = defaultdict(dict)
        try:
            make = partial(self.make, kind, True)
            for loader, state, batch in self._interrupted_batches(make, lambda: self._change_files(ever)):
                epoch = labels[state["epoch"]]
                epoch[state["batch"]] = (batch[1] if batch[1].ndim == 1 else batch[1][:, 0]).tolist()
                if len(epoch) == len(loader):
                    lost = set(range(len(self.copies))) - ever - set(itertools.chain(*epoch.values()))
                    if lost:
                        raise SoakError(f"{kind}: samples {sorted(lost)} are good and did not come in an epoch.")
        finally:
            self.copies.restore()
        recorded = self._recorded(kind)
        if recorded - ever:
            raise SoakError(f"{kind}: samples {sorted(recorded - ever)} are good and were recorded as bad.")
        self.counts.bad += len(ever)

    def _change_files(self, ever: set[int]) -> None:
        if self._happens():
            self.copies.restore()
        if self._happens():
            ever.add(self.copies.damage())

    def _recorded(self, kind: LoaderKind) -> set[int]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return {self.copies.number_of(json.loads(line)["path"], kind.packed) for line in lines}

    def _interrupted_batches(
        self, make: Callable[[], dc.Loader], between: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[dc.Loader, dict[str, Any], Outputs]]:
        """Yield loader, state and batch of a few epochs, with early exits, resumes and switches of mixing between."""
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


def _position(kind: LoaderKind, state: dict[str, Any]) -> tuple[int, int]:
    """Epoch and batch; all epochs of evaluation are the same."""
    return 0 if kind.name == "val" else state["epoch"], state["batch"]


def _digest(batch: Outputs) -> str:
    found = hashlib.blake2b()
    for tensor in batch:
        found.update(tensor.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()

"""Passes over a loader: where each begins in the endless sequence of batches, and the iterator of one."""

import os
from contextlib import AbstractContextManager
from threading import RLock

from dali_cutmix._dali import at_iteration, moved
from dali_cutmix.loader.batch_producer import Batch, BatchProducer
from dali_cutmix.loader.position import Pass, Position
from dali_cutmix.sources import READER, Source
from dali_cutmix.utils import Uncopyable


class Passes:
    """The passes over one loader; only the newest delivers batches.

    Batches come from one endless sequence, epoch after epoch; a pass takes the next ``length`` of them. With five in an
    epoch, and the first pass left after two:

                      ├── epoch 0 ──┤├── epoch 1 ──┤├── epoch 2 ──┤
                       0  1  2  3  4  5  6  7  8  9 10 11 12 13 14
        "continue"    └─ 1 ┘└──── 2 ─────┘└──── 3 ─────┘
        "restart"     └─ 1 ┘         └──── 2 ─────┘└──── 3 ─────┘

    Args:
        producer: of the batches.
        source: of the samples; None if the graph has a reader of its own, or none.
        length: batches in a pass.
        continues: what comes after a pass that was left early: the batches after it, or a new epoch.
        fed: whether all data comes from ``fn.external_source``, which is called once for each run of the pipeline.
    """

    def __init__(
        self, producer: BatchProducer, source: Source | None, length: int, *, continues: bool, fed: bool
    ) -> None:
        self._producer, self._source, self.length, self._continues = producer, source, length, continues
        self.fed = fed
        self._process, self._lock = os.getpid(), RLock()
        self._newest = self._begun = 0
        self._resumes = False
        self._wanted: int | None = None

    def exclusive(self) -> AbstractContextManager[object]:
        """Context in which no other thread takes a batch, so that what is done there is done between two batches.

        It is a lock written in C: an interrupt cannot leave it locked.

        Raises:
            RuntimeError: this process was forked after the loader was made.
        """
        if os.getpid() != self._process:
            raise RuntimeError(
                f"this loader was made in process {self._process} and is used in process {os.getpid()}, which was made "
                "by fork: the threads that prepare batches are not there. Make the loader in the process that uses it, "
                'or start that process by spawn (multiprocessing.get_context("spawn")).'
            )
        return self._lock

    def start(self) -> "PassIterator":
        """Start a pass; it takes its place in the sequence with its first batch."""
        with self.exclusive():
            self._newest += 1
            return PassIterator(self, self._newest)

    @property
    def at(self) -> Pass:
        """The pass that was begun last."""
        return self._producer.position.current

    @property
    def step(self) -> int:
        """Batches that it has delivered."""
        return self._number - self.at.first

    @property
    def epoch(self) -> int:
        """Number of the pass that goes on; of the next one if that is complete."""
        if self._wanted is None or self._is_open:
            return self.at.number + (self.step >= self.length)
        return self._wanted

    @property
    def _is_open(self) -> bool:
        """Whether the pass has begun and is not complete."""
        return 0 < self.step < self.length

    @property
    def _number(self) -> int:
        """Number of the next batch in the sequence."""
        position = self._producer.position
        return self._producer.epoch.number(position.epoch, position.batch)

    def want_epoch(self, number: int) -> None:
        """Let the next pass that begins be the one with this number."""
        with self.exclusive():
            self._wanted = number

    def resume(self) -> None:
        """End every pass that has begun; the next one gives the rest of the pass of the producer's position."""
        if self._begun == self._newest:
            self._newest += 1
        self._resumes, self._wanted = True, None

    def next(self, iterator: "PassIterator") -> Batch | None:
        """Deliver the next batch of a pass; None where it is complete.

        Raises:
            RuntimeError: a newer pass has begun.
        """
        with self.exclusive():
            if iterator.number != self._newest:
                raise RuntimeError(
                    "a newer pass over this loader has begun, or a state was loaded, so that this one cannot go on: a "
                    "loader has one position. Make a second loader for two passes at once (zip, nested loops, threads)."
                )
            if self._begun != self._newest:
                self._begin()
                self._begun = self._newest
            elif self.step >= self.length:
                return None
            batch = self._producer.next()
            self._resumes = False  # not before: a first batch that fails or is interrupted is tried again
            return batch

    def _begin(self) -> None:
        """Put the next pass at its place in the sequence."""
        if not (self._resumes and self._is_open and self._wanted in (None, self.at.number)):
            self._move_to(self._next_pass())
        self._wanted = None

    def _next_pass(self) -> Pass:
        if self._wanted is not None:
            return Pass(self._wanted, self._wanted * self.length)
        first = self._number
        if self._is_open and not self._continues:
            batches = self._producer.epoch.batches
            first = -(-first // batches) * batches
        return Pass(self.at.number + (self.step > 0), first)

    def _move_to(self, new: Pass) -> None:
        source, epoch, position, here = self._source, self._producer.epoch, self._producer.position, self._number
        keeps_order = source is not None and source.seed is None
        if keeps_order:  # all epochs are alike: the nearest one will do
            new = new._replace(first=here + (new.first - here) % epoch.batches)
        if new.first == here:
            self._producer.position = position._replace(current=new)
            return
        number, batch = divmod(new.first, epoch.batches)
        checkpoint = b""
        if self.fed:
            checkpoint = at_iteration(position.checkpoint, number * epoch.runs + batch)
        elif source is None and self._wanted is not None:
            raise ValueError(
                f"set_epoch({self._wanted}) given, but the graph has a reader of its own, whose order cannot be set; "
                "read with one of dc.read_…, or leave set_epoch out."
            )
        if source is not None and (batch or not keeps_order):
            checkpoint = moved(position.checkpoint, READER, number, batch * epoch.batch_size)
        self._producer.go_to(Position(number, batch, checkpoint, new))


class PassIterator(Uncopyable):
    """Iterator of the batches of one pass."""

    def __init__(self, passes: Passes, number: int) -> None:
        self._passes, self.number = passes, number
        self._complete = False

    def __iter__(self) -> "PassIterator":
        return self

    def __next__(self) -> Batch:
        batch = None if self._complete else self._passes.next(self)
        if batch is None:
            self._complete = True
            raise StopIteration
        return batch

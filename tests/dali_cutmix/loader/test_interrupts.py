"""Interrupts and forks: Ctrl-C costs no batch, wherever it strikes; a forked process is refused and never waits."""

import os
import random
import time
from collections import deque
from itertools import islice

import pytest
from torch.utils.data import DataLoader, IterableDataset

from dali_cutmix.loader.passes import Passes
from pipelines import imagenet
from tests.helpers import tally
from tests.helpers.interrupts import Interrupt
from tests.helpers.loaders import bits, endless, take

BATCHES = 200


@pytest.fixture
def make(photo_folder, fused):
    """Loaders of 3 batches in an epoch."""
    return lambda: imagenet.train(photo_folder, batch_size=7, size=8, device="cpu", fused=fused)


def test_no_batch_is_lost_by_a_hundred_interrupts(make):
    began = time.perf_counter()
    reference = take(make(), BATCHES)
    each = (time.perf_counter() - began) / BATCHES
    draw, loader, delivered = random.Random(0), make(), []
    for _ in range(100):
        if len(delivered) > BATCHES - 50:
            loader, delivered = make(), []
        with Interrupt(draw.uniform(0, 3 * each)):
            for batch in islice(endless(loader), 40):
                delivered.append(bits(batch))
        state = loader.state_dict()
        at = 3 * state["epoch"] + state["batch"]
        assert delivered == reference[: len(delivered)]
        assert at - len(delivered) in (0, 1), "it may strike between the loader and the list"
        assert take(loader, 2) == reference[at : at + 2], "the batches that the state says"
        delivered = reference[: at + 2]
        tally.count("resumes")


def test_a_state_taken_after_an_interrupt_resumes_elsewhere(make):
    loader = make()
    take(loader, 2)
    for seconds in (0.0005, 0.001, 0.003):
        with Interrupt(seconds) as interrupt:
            deque(endless(loader), maxlen=0)
        assert interrupt.struck
        resumed = make()
        resumed.load_state_dict(loader.state_dict())
        assert take(resumed, 3) == take(loader, 3)


def test_a_load_that_is_interrupted_at_its_end_leaves_everything_as_it_was(make, monkeypatch):
    saving, loader = make(), make()
    take(saving, 1)
    saving.mixup_enabled = False
    take(loader, 2)
    state, before = saving.state_dict(), loader.state_dict()

    def interrupted(passes):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Passes, "resume", interrupted)
        with pytest.raises(KeyboardInterrupt):
            loader.load_state_dict(state)
    assert loader.state_dict() == before
    assert take(loader, 2) == take(make(), 4)[2:]


def test_a_loader_used_in_a_forked_process_is_refused_and_does_not_hang(make):
    loader = make()
    next(iter(loader))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        errors = []
        for use in (loader.state_dict, lambda: next(iter(loader)), lambda: loader.set_epoch(1)):
            try:
                use()
            except RuntimeError as error:
                errors.append(str(error))
        os.write(writing, "\n".join(errors).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        errors = pipe.read().splitlines()
    os.waitpid(child, 0)
    assert errors == 3 * [
        f"this loader was made in process {os.getpid()} and is used in process {child}, which was made by fork: the "
        "threads that prepare batches are not there. Make the loader in the process that uses it, or start that "
        'process by spawn (multiprocessing.get_context("spawn")).'
    ]
    assert len(list(loader)) == 3, "the parent's is not disturbed"


class Wrapped(IterableDataset):
    """A loader inside a PyTorch data set, whose DataLoader forks workers."""

    def __init__(self, loader):
        self.loader = loader

    def __iter__(self):
        return iter(self.loader)


def test_a_worker_of_a_dataloader_reports_it(make):
    with pytest.raises(RuntimeError, match="this loader was made in process .* by fork"):
        next(iter(DataLoader(Wrapped(make()), batch_size=None, num_workers=1, multiprocessing_context="fork")))

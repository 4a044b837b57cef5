"""Contenders each broken in its own way, and one that works; they run in processes of their own."""

import ctypes
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.loaders.contenders import Contender, Settings


@dataclass(frozen=True)
class Fake(Contender):
    """Its ``source`` is a function of this module."""

    def load(self):
        return globals()[self.source]

    def batches(self, settings):
        with (settings.cache / f"{self.name}.pids").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return globals()[self.source](settings, **dict(self.arguments))


class SlowImport(Fake):
    """Takes a second to import, and no more to start."""

    def load(self):
        time.sleep(1.0)
        return super().load()


def fake(source, name="", **options):
    """A contender that runs the function ``source`` of this module."""
    return Fake(name or source, f"Loader {name or source}", source, (), mixes=False, **options)


def settings(cache):
    """Settings for small batches; contenders write the ids of their processes to ``cache``."""
    return Settings(Path(), 100, 3, 8, batch_size=4, threads=1, device="cpu", cache=cache)


def _batch(settings):
    size = settings.size
    return torch.zeros(settings.batch_size, 3, size, size), torch.zeros(settings.batch_size, dtype=torch.int64)


def good(settings, pause=0.001, before=0.0):
    """Give batches for ever."""
    time.sleep(before)
    while True:
        time.sleep(pause)
        yield _batch(settings)


def raises(settings):
    """Give one batch, then raise."""
    yield _batch(settings)
    raise EOFError("the file\nends too early")


def exits(settings):
    """Give one batch, then leave the interpreter."""
    yield _batch(settings)
    sys.exit("cannot go on")


def ends(settings):
    """Give one batch and no more."""
    yield _batch(settings)


def spams(settings):
    """Print errors without end and give no batch, as a pipeline whose stages fail in threads of their own."""

    def fail():
        while True:
            try:
                raise RuntimeError("libavutil.so.61: cannot open shared object file")
            except RuntimeError:
                sys.excepthook(*sys.exc_info())

    threading.Thread(target=fail, daemon=True).start()
    while True:
        time.sleep(1)
    yield


def hangs(settings):
    """Hang in C, with the interpreter's lock held and SIGTERM ignored; a worker does so too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    worker = os.fork()
    if worker:
        with (settings.cache / "hangs.pids").open("a") as file:
            file.write(f"{worker}\n")
    while True:
        ctypes.PyDLL(None).sleep(3600)
    yield


def crashes(settings):
    """Give one batch, then crash, with a worker that outlives it."""
    yield _batch(settings)
    worker = os.fork()
    if not worker:
        while True:
            time.sleep(3600)
    with (settings.cache / "crashes.pids").open("a") as file:
        file.write(f"{worker}\n")
    print("about to read address 0", flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)
    yield


def falls_silent(settings):
    """Stop in the second turn: between two turns nobody asks for a batch for a while."""
    turns = 0
    while turns < 2:
        asked = time.monotonic()
        yield _batch(settings)
        turns += time.monotonic() - asked > 0.2
    time.sleep(3600)

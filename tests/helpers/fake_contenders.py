"""Contenders that are broken each in its own way, and one that is not; they run in processes of their own."""

import ctypes
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass

import torch

from bench.loaders.contenders import Contender


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
    return Fake(name or source, f"Loader {name or source}", source, (), mixes=False, **options)


def _batch(settings):
    size = settings.size
    return torch.zeros(settings.batch_size, 3, size, size), torch.zeros(settings.batch_size, dtype=torch.int64)


def good(settings, pause=0.001, before=0.0):
    time.sleep(before)
    while True:
        time.sleep(pause)
        yield _batch(settings)


def raises(settings):
    yield _batch(settings)
    raise EOFError("the file\nends too early")


def exits(settings):
    yield _batch(settings)
    sys.exit("cannot go on")


def ends(settings):
    yield _batch(settings)


def spams(settings):
    """As a pipeline does whose stages fail in threads of their own, one sample after the other."""

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
    """In C, with the interpreter's lock held and SIGTERM ignored; so does a worker of it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    worker = os.fork()
    if worker:
        with (settings.cache / "hangs.pids").open("a") as file:
            file.write(f"{worker}\n")
    while True:
        ctypes.PyDLL(None).sleep(3600)
    yield


def crashes(settings):
    """With a worker that outlives it."""
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
    """In its second turn: between two turns it is not asked for a while."""
    turns = 0
    while turns < 2:
        asked = time.monotonic()
        yield _batch(settings)
        turns += time.monotonic() - asked > 0.2
    time.sleep(3600)

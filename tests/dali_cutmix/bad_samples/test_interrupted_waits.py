"""Storage that is waited for until somebody interrupts: the waiting ends, and no file is given up before its time."""

import errno
import os
import pathlib
import signal
import threading
import time

import pytest
from PIL import Image

from pipelines import imagenet
from tests.helpers.images import save

pytestmark = pytest.mark.filterwarnings("ignore:.*cannot be read:RuntimeWarning")


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "unfused"])
def test_an_interrupt_ends_the_waiting_and_no_file_is_called_missing_for_it(tmp_path, request, monkeypatch, fused):
    """One file among good ones, whose disk needs a moment: it is given up after ``retry`` seconds, not before."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a worker of the tests may ignore it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    for number in range(20):
        save(Image.new("RGB", (40, 30), (10 * number,) * 3), tmp_path / "data" / "a" / f"{number}.jpg")
    log, real, fails, waits = tmp_path / "bad.jsonl", os.stat, [True], threading.Event()

    def train():
        how = {"batch_size": 5, "size": 16, "device": "cpu", "num_threads": 1, "fused": fused}
        return imagenet.train(tmp_path / "data", bad_log=log, on_error="replace", max_bad=0.5, **how)

    def batches(loader):
        return ([tensor.numpy().tobytes() for tensor in batch] for batch in loader)

    def failing(path, *arguments, **options):
        if fails[0] and os.fsdecode(path).endswith("/7.jpg"):
            waits.set()
            raise OSError(errno.EIO, os.strerror(errno.EIO), os.fsdecode(path))
        return real(path, *arguments, **options)

    expected, loader, found = list(batches(train())), train(), []
    monkeypatch.setattr(os, "stat", failing)
    monkeypatch.setattr(pathlib.Path, "stat", failing)

    def interrupt():
        waits.wait(20)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Timer(0.5, interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        found.extend(batches(loader))
    time.sleep(0.5)  # the user reads what happened
    fails[0] = False
    found.extend(batches(loader))
    assert found[:4] == expected
    assert not log.exists()

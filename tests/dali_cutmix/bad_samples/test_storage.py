"""Storage that fails: an outage costs no file and no batch; a single file that is gone is replaced until it is back."""

import errno
import itertools
import json
import os
import signal
import socket
import threading
import time
import warnings
from random import Random

import numpy as np
import pytest
from PIL import Image

import dali_cutmix as dc
from dali_cutmix.bad_samples import storage
from pipelines import imagenet
from tests.helpers import tally
from tests.helpers.images import save
from tests.helpers.packing import pack

CLASSES, EACH = 4, 15


@pytest.fixture
def folder(tmp_path):
    """Sixty photographs in four classes, each of one level of its own."""
    for number in range(CLASSES * EACH):
        save(
            Image.new("RGB", (40, 30), (4 * number,) * 3), tmp_path / "data" / "abcd"[number // EACH] / f"{number}.jpg"
        )
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(storage, "_LONGEST_PAUSE", 0.2)


def train(folder, log, **options):
    return imagenet.train(
        folder,
        batch_size=5,
        size=16,
        device="cpu",
        num_threads=1,
        bad_log=log,
        on_error="replace",
        max_bad=0.1,
        **options,
    )


def bits(batches):
    return [tuple(tensor.numpy().tobytes() for tensor in batch) for batch in batches]


def after(seconds, action):
    timer = threading.Timer(seconds, action)
    timer.start()
    return timer


@pytest.mark.filterwarnings("ignore:.*cannot be read:RuntimeWarning")
@pytest.mark.parametrize("fused", [True, False], ids=["fused", "unfused"])
@pytest.mark.parametrize("on_error", ["raise", "replace"])
def test_a_class_folder_that_is_away_for_a_moment_costs_nothing(folder, tmp_path, fused, on_error):
    """It once cost 58 of its 60 files for good."""
    log = tmp_path / "bad.jsonl"
    expected = bits(
        itertools.islice(itertools.chain.from_iterable(itertools.repeat(train(folder, log, fused=fused))), 24)
    )
    loader = (
        train(folder, log, fused=fused)
        if on_error == "replace"
        else imagenet.train(folder, batch_size=5, size=16, device="cpu", num_threads=1, fused=fused)
    )
    iterator = itertools.chain.from_iterable(itertools.repeat(loader))
    found = bits(itertools.islice(iterator, 4))
    (folder / "b").rename(tmp_path / "away")
    back = after(0.7, lambda: (tmp_path / "away").rename(folder / "b"))
    with pytest.warns(
        RuntimeWarning, match=r"samples? of a batch cannot be read: .*/data/b/\d+\.jpg \(No such file.*\. Trying"
    ):
        found += bits(itertools.islice(iterator, 20))
    back.join()
    assert found == expected
    assert not log.exists()
    assert loader.state_dict()["bad"] == []
    tally.count("outages")


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.filterwarnings("ignore:.*cannot be read:RuntimeWarning")
def test_a_small_class_folder_that_is_away_costs_nothing_either(folder, tmp_path, images):
    """Its images alone are fewer than their neighbours in the list."""
    log = tmp_path / "bad.jsonl"
    for path in sorted((folder / "b").iterdir())[images:]:
        path.unlink()
    expected = bits(train(folder, log))
    loader = train(folder, log)
    (folder / "b").rename(tmp_path / "away")
    back = after(0.7, lambda: (tmp_path / "away").rename(folder / "b"))
    assert bits(loader) == expected
    back.join()
    assert not log.exists()
    tally.count("outages")


@pytest.mark.filterwarnings("ignore:.*cannot be read:RuntimeWarning")
def test_an_outage_that_lasts_ends_the_run_with_what_is_missing_and_the_loader_goes_on_where_it_was(folder, tmp_path):
    log = tmp_path / "bad.jsonl"
    expected = bits(train(folder, log))
    loader = train(folder, log, retry=0.3)
    (folder / "b").rename(tmp_path / "away")
    found = []
    with pytest.raises(
        dc.StorageError, match=r"the storage fails: \d+ samples of a batch cannot be read: /.*/b/\d+\.jpg \(No such"
    ):
        found += bits(loader)
    (tmp_path / "away").rename(folder / "b")
    assert found + bits(loader) == expected
    assert not log.exists()
    tally.count("outages")


@pytest.mark.filterwarnings("ignore:.*cannot be read:RuntimeWarning")
def test_a_packed_folder_that_is_away_for_a_moment_with_its_manifest_costs_nothing(folder, tmp_path):
    pack(folder, tmp_path / "packed", samples_per_shard=12)
    loader = train(tmp_path / "packed", tmp_path / "bad.jsonl", prefetch=1, fused=False)
    next(iter(loader))
    (tmp_path / "packed").rename(tmp_path / "away")
    timer = after(0.5, lambda: (tmp_path / "away").rename(tmp_path / "packed"))
    assert sum(len(images) for images, _ in loader) == CLASSES * EACH
    timer.join()
    assert not (tmp_path / "bad.jsonl").exists()


@pytest.mark.filterwarnings("ignore:.*cannot be read:RuntimeWarning")
def test_a_packed_folder_that_stays_away_ends_the_run_as_storage_that_fails(folder, tmp_path):
    pack(folder, tmp_path / "packed", samples_per_shard=12)
    loader = train(tmp_path / "packed", tmp_path / "bad.jsonl", prefetch=1, fused=False, retry=0.1)
    (tmp_path / "packed").rename(tmp_path / "away")
    with pytest.raises(dc.StorageError, match=r"shard-0000\d\.tar: 000000\d\d\.jpg \(No such file or directory\)"):
        for _ in itertools.chain.from_iterable(itertools.repeat(loader)):
            pass


def listed(folder):
    """A verb that reads a list: files that are removed afterwards stay in it."""
    samples = [(path, "abcd".index(path.parent.name)) for path in sorted(folder.rglob("*.jpg"))]
    return lambda **order: dc.read_files(samples, **order)


def test_a_file_that_is_gone_is_replaced_at_once_and_comes_back_at_the_next_start(folder, tmp_path):
    log, read = tmp_path / "bad.jsonl", listed(folder)
    gone = folder / "c" / "37.jpg"
    content = gone.read_bytes()
    gone.unlink()
    began = time.monotonic()
    loader = train(read, log)
    assert sum(len(images) for images, _ in loader) == 60
    assert time.monotonic() - began < 20
    (entry,) = map(json.loads, log.read_text().splitlines())
    assert (entry["path"], entry["kind"]) == (str(gone), "missing")
    assert entry["reason"] == "cannot be read: No such file or directory"
    saved = loader.state_dict()
    assert saved["bad"] == []
    gone.write_bytes(content)
    resumed = train(read, log)
    resumed.load_state_dict(saved)
    whole = train(read, log)
    assert bits(resumed) == bits(itertools.chain(whole, whole))[12:]
    assert len(log.read_text().splitlines()) == 1
    tally.count("bad")


def test_without_replacing_a_file_that_is_gone_is_named_at_once(folder):
    read = listed(folder)
    (folder / "c" / "37.jpg").unlink()
    with pytest.raises(dc.DecodeError, match=r"37\.jpg \(cannot be read: No such file or directory\)"):
        list(imagenet.train(read, batch_size=5, size=16, device="cpu"))


def test_missing_files_count_for_max_bad(folder, tmp_path):
    read = listed(folder)
    for path in sorted(folder.rglob("*.jpg"))[::8]:
        path.unlink()
    with pytest.raises(dc.DecodeError, match=r"of 60 samples cannot be decoded, more than max_bad=0.1 allows"):
        list(train(read, tmp_path / "bad.jsonl"))


@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EACCES])
@pytest.mark.filterwarnings("ignore:.*cannot be read:RuntimeWarning")
def test_every_error_of_storage_is_waited_for(folder, tmp_path, monkeypatch, error):
    """All files fail for the first few looks, as on a network disk whose server restarts."""
    log = tmp_path / "bad.jsonl"
    expected = bits(train(folder, log))
    looks, real = [], os.stat

    def failing(path, *arguments, **options):
        if os.fsdecode(path).endswith(".jpg") if isinstance(path, (str, bytes, os.PathLike)) else False:
            looks.append(path)
            if len(looks) < 30:
                raise OSError(error, os.strerror(error), os.fsdecode(path))
        return real(path, *arguments, **options)

    loader = train(folder, log)
    monkeypatch.setattr(os, "stat", failing)
    assert bits(loader) == expected
    assert len(looks) >= 30
    assert not log.exists()
    tally.count("outages")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*cannot be read:RuntimeWarning")
@pytest.mark.parametrize("seed", range(3))
def test_outages_at_any_moment_cost_nothing(folder, tmp_path, seed):
    """Thirty-nine of them, of one class or of the whole folder, some shorter than the look at what is wrong."""
    random, log = Random(seed), tmp_path / "bad.jsonl"
    folders = [folder, *sorted(folder.iterdir())]

    def endless():
        return itertools.chain.from_iterable(itertools.repeat(train(folder, log)))

    def outage(away, moment, length):
        time.sleep(moment)
        away.rename(tmp_path / "away")
        time.sleep(length)
        (tmp_path / "away").rename(away)

    expected, iterator = bits(itertools.islice(endless(), 240)), endless()
    found = bits(itertools.islice(iterator, 6))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(39):
            when = random.uniform(0, 0.008), random.choice([0.001, 0.02, 0.2])
            thread = threading.Thread(target=outage, args=(random.choice(folders), *when))
            thread.start()
            found += bits(itertools.islice(iterator, 6))
            thread.join()
    assert len(seen) > 5  # the others end between two looks
    assert found == expected
    assert not log.exists()
    tally.count("outages", 39)


@pytest.mark.filterwarnings("ignore:.*cannot be read:RuntimeWarning")
def test_an_interrupt_ends_the_waiting(folder, tmp_path, request):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a worker of the tests may ignore it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    loader = train(folder, tmp_path / "bad.jsonl")
    (folder / "b").rename(tmp_path / "away")

    began = time.monotonic()
    after(1.0, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        list(loader)
    (tmp_path / "away").rename(folder / "b")
    assert sum(len(images) for images, _ in loader) > 0
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("retry", [-1, float("nan"), float("inf"), "60", True, None])
def test_retry_has_to_be_seconds(folder, retry):
    with pytest.raises(ValueError, match=r"retry=.* given; allowed are seconds, 0 or more"):
        imagenet.train(folder, batch_size=5, device="cpu", retry=retry)


# What is not a regular file, or too large


def make_fifo(path):
    os.mkfifo(path)


def make_socket(path):
    folder = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{folder}/{path.name}")  # a socket's name may have 108 bytes
    os.close(folder)


def make_device(path):
    path.symlink_to("/dev/zero")


def make_huge(path):
    with path.open("wb") as file:
        file.truncate(200 * 2**30)


SPECIAL = {
    "FIFO": (make_fifo, "a FIFO (named pipe), not a regular file"),
    "socket": (make_socket, "a socket, not a regular file"),
    "endless device": (make_device, "a device, not a regular file"),
    "200 GiB": (make_huge, "214748364800 bytes, more than max_bytes=1073741824"),
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_only_regular_files_of_a_reasonable_size_are_opened(folder, tmp_path, kind):
    make, reason = SPECIAL[kind]
    special = folder / "b" / "20.jpg"
    special.unlink()
    make(special)
    with pytest.raises(dc.DecodeError) as caught:
        list(imagenet.train(folder, batch_size=5, size=16, device="cpu"))
    assert f"{special} ({reason})" in str(caught.value)
    log = tmp_path / "bad.jsonl"
    assert sum(len(images) for images, _ in train(folder, log)) == 60
    (entry,) = map(json.loads, log.read_text().splitlines())
    assert (entry["path"], entry["kind"], entry["reason"]) == (str(special), "not supported", reason)
    tally.count("bad")


def test_max_bytes_is_the_users(folder):
    sizes = sorted(path.stat().st_size for path in folder.rglob("*.jpg"))
    samples = [(path, 0) for path in sorted(folder.rglob("*.jpg"))]

    def read(**order):
        return dc.read_files(samples, max_bytes=sizes[-1] - 1, **order)

    with pytest.raises(dc.DecodeError, match=f"{sizes[-1]} bytes, more than max_bytes={sizes[-1] - 1}"):
        list(imagenet.val(read, batch_size=5, size=16, resize=16, device="cpu"))


@pytest.mark.parametrize("max_bytes", [0, -1, 1.5, "1 GB", None])
def test_max_bytes_has_to_be_a_whole_number(folder, max_bytes):
    with pytest.raises(ValueError, match="max_bytes="):
        imagenet.train(lambda **order: dc.read_folder(folder, max_bytes=max_bytes, **order), batch_size=5, device="cpu")


def test_levels_are_those_of_the_files(folder, tmp_path):
    """The oracle of this file: each sample's level says which file it is."""
    loader = imagenet.val(folder, batch_size=60, size=16, resize=16, device="cpu", mean=0.0, std=1.0)
    ((images, _),) = loader
    levels = images.mean(dim=(1, 2, 3)).numpy()
    names = sorted(folder.rglob("*.jpg"))
    assert np.abs(levels - [4 * int(path.stem) for path in names]).max() < 2

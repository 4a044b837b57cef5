"""Contenders that are meant for a GPU, tested as far as they run without one."""

import threading
import weakref
from contextlib import contextmanager, nullcontext
from itertools import islice
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from bench.loaders.contenders import CONTENDERS, Settings, dali, endless_pipeline, ours, torchvision_gpu
from bench.loaders.contenders.torchvision import MEAN, STD
from dali_cutmix.gpu import keep_alive

SIZE, BATCH = 16, 6
pytestmark = [
    pytest.mark.usefixtures("small_cache"),
    pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities:DeprecationWarning"),
]
NAMED = {contender.name: contender for contender in CONTENDERS}


def settings(root, device="cpu", classes=3, **other):
    same = {"images": 24, "size": SIZE, "batch_size": BATCH, "threads": 2, "cache": root}
    return Settings(root, num_classes=classes, device=device, **(same | other))


class Gpu:
    """A stream that has come to nothing of what it was given yet, and a pipeline whose outputs it is to wait for."""

    device_id = 0

    def __init__(self):
        self.streams, self.outputs, self.events, self.most = [], [], [], 0

    def build(self):
        pass

    def run(self, stream=None):
        self.streams.append(stream)
        memory = np.zeros(1)
        self.outputs.append(weakref.ref(memory))
        self.most = max(self.most, self.alive())
        return (memory,)

    def alive(self):
        return sum(output() is not None for output in self.outputs)

    def record(self, gpu):
        self.events.append(Event())
        return self.events[-1]


class Event:
    passed = waited = False

    def query(self):
        return self.passed

    def synchronize(self):
        self.passed = self.waited = True


@pytest.fixture
def gpu(monkeypatch):
    made = Gpu()
    monkeypatch.setattr(torch.cuda, "current_stream", lambda gpu: f"stream of {gpu}")
    monkeypatch.setattr(torch.cuda, "device", lambda gpu: nullcontext())
    monkeypatch.setattr(endless_pipeline, "record", made.record)
    monkeypatch.setattr(dali, "_decode", lambda **_: made)
    monkeypatch.setattr(ours, "pipeline_def", lambda **_: lambda graph: lambda: made)
    monkeypatch.setattr(ours.dc, "pipeline_options", lambda *_, **__: {})
    return made


@pytest.mark.parametrize("name", ["dali-decode", "dali-decode-whole", "dali-read"])
def test_outputs_alone_are_taken_on_the_consumers_stream_and_kept_until_it_has_come_to_them(tmp_path, gpu, name):
    batches = NAMED[name].batches(settings(tmp_path, "cuda:0"))
    assert list(islice(batches, 3)) == [None] * 3
    assert gpu.streams == ["stream of 0"] * 3, "without a stream DALI waits for the GPU"
    assert gpu.alive() == 3
    gpu.events[0].passed = gpu.events[1].passed = True
    next(batches)
    assert gpu.alive() == 2
    assert not any(event.waited for event in gpu.events)
    list(islice(batches, 30))
    assert gpu.most <= keep_alive.MOST_AHEAD + 2, "the host does not run away from the GPU"
    assert gpu.events[2].waited


@pytest.mark.parametrize("whole", [False, True])
def test_whole_images_or_their_crops_are_decoded(data, whole):
    pipeline = dali._decode(whole=whole, **dali._options(settings(data)))
    pipeline.build()
    shapes = {tuple(shape) for shape in pipeline.run()[0].shape()}
    assert (shapes == {(80, 96, 3)}) == whole


def test_only_a_gpu_is_given_what_needs_one(tmp_path):
    assert NAMED["torchvision-gpu"].unfit_reason(settings(tmp_path)) == "needs a GPU"
    assert NAMED["torchvision-gpu"].unfit_reason(settings(tmp_path, "cuda:0")) == ""


# torchvision-gpu on the CPU: the same code but for streams


def write_plain(root, *modes):
    """24 images, each of one of three levels of gray that tells its class."""
    for number in range(24):
        label = number % 3
        image = Image.new("RGB", (40 + number, 60 - number), (60 + 60 * label,) * 3)
        folder = root / f"class{label}"
        folder.mkdir(exist_ok=True)
        image.convert(modes[number // 3 % len(modes)]).save(folder / f"{number}.jpg", quality=95)
    return root


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return write_plain(tmp_path_factory.mktemp("plain"), "RGB", "L", "CMYK")


@pytest.fixture
def closed():
    """Batches of ``torchvision-gpu``, ended after the test."""
    started = []

    def start(*arguments, **options):
        started.append(NAMED["torchvision-gpu"].batches(settings(*arguments, **options)))
        return started[-1]

    yield start
    for batches in started:
        batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "make batches"]


def test_torchvision_on_a_gpu_gives_batches_without_end(plain, closed):
    for images, targets in islice(closed(plain), 10):  # more than the two epochs that there are
        assert images.shape == (BATCH, 3, SIZE, SIZE)
        assert images.dtype == torch.float32
        assert targets.shape == (BATCH, 3)


def test_each_target_is_the_share_of_the_classes_pixels(plain, closed):
    """Gray and CMYK images have three channels; CutMix pastes a box, and λ is its share."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    levels = torch.tensor([60.0, 120.0, 180.0])
    mixed = 0
    for images, targets in islice(closed(plain), 12):
        pixels = 255 * (images * std + mean)
        assert ((pixels - pixels.mean(1, keepdim=True)).abs() < 3).all(), "gray in all three channels"
        nearest = (pixels[:, 0, :, :, None] - levels).abs().argmin(-1).flatten(1)
        shares = torch.stack([(nearest == label).float().mean(1) for label in range(3)], 1)
        torch.testing.assert_close(targets, shares, atol=1e-5, rtol=0)
        mixed += int(((targets > 0).sum(1) > 1).sum())
    assert mixed > 0


def test_crops_and_flips_are_drawn_for_each_image(tmp_path, closed):
    """One image with a ramp from left to right: some copies are mirrored, and no two show the same part of it."""
    (tmp_path / "class").mkdir()
    ramp = np.broadcast_to(np.linspace(0, 255, 200).astype(np.uint8)[None, :, None], (100, 200, 3))
    Image.fromarray(np.ascontiguousarray(ramp)).save(tmp_path / "class" / "0.jpg", quality=95)
    files = tmp_path / "many" / "class"
    files.mkdir(parents=True)
    for number in range(32):
        (files / f"{number}.jpg").symlink_to(tmp_path / "class" / "0.jpg")
    images, _ = next(closed(tmp_path / "many", batch_size=32, classes=1))
    slopes = images[:, 0, :2].mean(1).diff(dim=1).sum(1)  # of the upper rows, which a box seldom reaches
    assert 4 < (slopes > 0).sum() < 28
    assert len(slopes.abs().mul(1000).round().unique()) > 20


def test_an_error_of_a_thread_reaches_the_consumer(tmp_path, closed):
    (tmp_path / "class").mkdir()
    for number in range(BATCH):
        (tmp_path / "class" / f"{number}.jpg").write_bytes(b"no JPEG")
    with pytest.raises(RuntimeError, match="JPEG"):
        next(closed(tmp_path, images=BATCH, classes=1))


def test_no_more_batches_are_made_than_fit_the_queue(plain, closed, monkeypatch):
    made = []
    finish = torchvision_gpu._BatchMaker._finish
    monkeypatch.setattr(torchvision_gpu._BatchMaker, "_finish", lambda *given: made.append(1) or finish(*given))
    batches = closed(plain)
    next(batches)
    threading.Event().wait(1.0)
    assert len(made) <= 1 + torchvision_gpu.PREFETCH + torchvision_gpu.MAKERS
    assert len(made) <= NAMED["torchvision-gpu"].prepared(settings(plain)), (
        "what was made ahead is used up before a turn"
    )


class Stream:
    """The work that a stream was given, in order; ``current`` is the one that PyTorch would use."""

    current = None

    def __init__(self, name):
        self.work = []

    def wait_stream(self, other):
        self.work.append(("wait for", list(other.work)))

    def wait_event(self, event):
        self.work.append(("wait for", event.after))


@contextmanager
def on(stream):
    before, Stream.current = Stream.current, stream
    yield
    Stream.current = before


def test_on_a_gpu_each_stream_waits_for_what_it_reads_and_memory_for_its_readers(tmp_path, monkeypatch):
    """With the calls of CUDA replaced: what is queued where, and how long decoded images are kept."""
    events = []

    def record(gpu):
        event = Event()
        event.after = list(Stream.current.work)
        events.append(event)
        return event

    def decode(self, encoded):
        Stream.current.work.append("decode")
        return [np.zeros(1)]

    class Images:
        device = "cuda:0"
        used_on: ClassVar[list] = []

        def record_stream(self, stream):
            self.used_on.append(stream)

    def finish(self, images, labels):
        Stream.current.work.append("finish")
        decoded.append(weakref.ref(images[0]))
        return Images(), Images()

    decoded = []
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", on)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torchvision_gpu, "record", record)
    monkeypatch.setattr(torchvision_gpu._BatchMaker, "_decode", decode)
    monkeypatch.setattr(torchvision_gpu._BatchMaker, "_finish", finish)
    maker = torchvision_gpu._BatchMaker(settings(tmp_path, "cuda:0"))
    first = maker([], None)
    assert maker._decoding.work == ["decode"], "its memory is nobody else's"
    assert maker._finishing.work == [("wait for", ["decode"]), "finish"]
    assert decoded[0]() is not None, "held: the finishing stream may not have read them yet"
    events[0].passed = True
    maker([], None)
    assert decoded[0]() is None
    assert decoded[1]() is not None

    consumer = Stream("consumer")
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: consumer)
    torchvision_gpu._hand_over(first)
    assert consumer.work == [("wait for", [("wait for", ["decode"]), "finish"])]
    assert Images.used_on == [consumer, consumer], "images and targets outlive their last use on it"


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["torchvision-gpu", "dali-decode", "dali-decode-whole", "dali-read"])
def test_yields_on_a_gpu(data, name):
    batches = NAMED[name].batches(settings(data, "cuda:0"))
    got = list(islice(batches, 20))
    torch.cuda.synchronize()
    batches.close()
    if name == "torchvision-gpu":
        assert all(images.device == torch.device("cuda:0") and images.isfinite().all() for images, _ in got)
        assert all(torch.allclose(targets.sum(1), torch.ones(BATCH, device="cuda:0")) for _, targets in got)


@pytest.mark.gpu
def test_batches_of_torchvision_on_a_gpu_are_whole_when_the_consumer_reads_them(tmp_path):
    """As on the CPU, with a consumer that never waits: images that nvJPEG or a maker overwrote would not fit."""
    root = write_plain(tmp_path, "RGB", "L")
    batches = NAMED["torchvision-gpu"].batches(settings(root, "cuda:0"))
    mean, std = (torch.tensor(values, device="cuda:0").view(1, 3, 1, 1) for values in (MEAN, STD))
    levels = torch.tensor([60.0, 120.0, 180.0], device="cuda:0")
    found = []
    for images, targets in islice(batches, 50):
        pixels = 255 * (images * std + mean)
        nearest = (pixels[:, 0, :, :, None] - levels).abs().argmin(-1).flatten(1)
        shares = torch.stack([(nearest == label).float().mean(1) for label in range(3)], 1)
        found.append((targets - shares).abs().max())
    batches.close()
    assert torch.stack(found).max().item() < 1e-4

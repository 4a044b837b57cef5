"""torchvision on a GPU: nvJPEG decodes whole batches, the v2 kernels and v2.CutMix do the rest there.

What one would write for a GPU with PyTorch alone: files are read by threads, and batches are made ahead in
two threads, so that nvJPEG decodes one (without the GIL) while Python crops the other. A file that nvJPEG refuses ends
it: nothing is decoded on the CPU in silence.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import Full, Queue
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from bench.common import PREFETCH, Batch, Settings
from bench.loaders.contenders.torchvision import MEAN, STD, Endless
from dali_cutmix.gpu import KeepAlive, record
from dali_cutmix.sources import scan_folder

LEVELS_MEAN, LEVELS_STD = (255 * torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
MAKERS = 2
"""Threads that make batches."""


class _Made(NamedTuple):
    """A batch, and on a GPU the event after which it is there."""

    images: Tensor
    targets: Tensor
    ready: torch.cuda.Event | None


class _Maker:
    """Makes batches of encoded files in one thread; on a GPU on streams of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._crop = v2.RandomResizedCrop(settings.size, antialias=True)
        self._cutmix = v2.CutMix(num_classes=settings.num_classes)
        self._device = torch.device(settings.device)
        self._held = KeepAlive()
        if self._device.type == "cuda":
            self._decoding, self._finishing = (torch.cuda.Stream(self._device) for _ in range(2))

    def __call__(self, encoded: list[Tensor], labels: Tensor) -> _Made:
        if self._device.type == "cpu":
            return _Made(*self._finish(self._decode(encoded), labels), None)
        with torch.cuda.device(self._device):
            # decode_jpeg takes memory of the current stream and writes to it on a stream of its own, which waits for
            # nobody: so nothing else may use that memory, and images are held until they were read.
            with torch.cuda.stream(self._decoding):
                images = self._decode(encoded)
            self._finishing.wait_stream(self._decoding)
            with torch.cuda.stream(self._finishing):
                batch = self._finish(images, labels)
                ready = record(self._device.index)
            self._held.hold(images, ready)
        return _Made(*batch, ready)

    def _decode(self, encoded: list[Tensor]) -> list[Tensor]:
        images: list[Tensor] = decode_jpeg(encoded, mode=ImageReadMode.RGB, device=self._device)
        return images

    def _finish(self, decoded: list[Tensor], labels: Tensor) -> tuple[Tensor, Tensor]:
        """Crop and resize one by one, as they differ in size; flip, normalize and mix all at once."""
        n, size = len(decoded), self._settings.size
        images = torch.empty(n, 3, size, size, device=self._device)
        for image, target in zip(decoded, images, strict=True):
            place = self._crop.make_params([image])
            region = functional.crop(image, place["top"], place["left"], place["height"], place["width"])
            target.copy_(functional.resize(region.float(), [size, size], antialias=True))
        flipped = self._to_device(torch.rand(n) < 0.5).view(n, 1, 1, 1)
        images = torch.where(flipped, images.flip(3), images)
        # functional.normalize would look at the standard deviations, and wait for the device to do so.
        images = images.sub_(self._to_device(LEVELS_MEAN)).div_(self._to_device(LEVELS_STD))
        mixed: tuple[Tensor, Tensor] = self._cutmix(images, self._to_device(labels))
        return mixed

    def _to_device(self, host: Tensor) -> Tensor:
        pinned = host.pin_memory() if self._device.type == "cuda" else host
        return pinned.to(self._device, non_blocking=True)


class _Source:
    """Batches of encoded files and their labels, read ahead; for several threads."""

    def __init__(self, settings: Settings) -> None:
        files, labels, _ = scan_folder(settings.data)
        self._files, self._labels = [str(settings.data / file) for file in files], torch.tensor(labels)
        self._order = iter(Endless(len(files), settings.batch_size))
        self._readers = ThreadPoolExecutor(settings.threads, "read")
        self._lock = threading.Lock()
        self._ahead = [self._begin() for _ in range(MAKERS)]

    def _begin(self) -> tuple[Iterator[Tensor], Tensor]:
        numbers = next(self._order)
        return self._readers.map(read_file, [self._files[number] for number in numbers]), self._labels[numbers]

    def __next__(self) -> tuple[list[Tensor], Tensor]:
        with self._lock:
            self._ahead.append(self._begin())
            reading, labels = self._ahead.pop(0)
        return list(reading), labels

    def close(self) -> None:
        self._readers.shutdown(wait=False, cancel_futures=True)


def _make(settings: Settings, source: _Source, made: Queue[Any], stopped: threading.Event) -> None:
    """Fill the queue until it is stopped; an error goes into it."""

    def put(item: _Made | Exception) -> None:
        while not stopped.is_set():
            try:
                return made.put(item, timeout=0.1)
            except Full:
                pass

    try:
        maker = _Maker(settings)
        while not stopped.is_set():
            put(maker(*next(source)))
    except Exception as error:
        put(error)


def batches(settings: Settings) -> Iterator[Batch]:
    """Random resized crop (antialiased), flip, normalization and CutMix on the device."""
    source, made, stopped = _Source(settings), Queue[Any](PREFETCH), threading.Event()
    work = partial(_make, settings, source, made, stopped)
    makers = [threading.Thread(target=work, name="make batches", daemon=True) for _ in range(MAKERS)]
    for maker in makers:
        maker.start()
    try:
        while True:
            item = made.get()
            if isinstance(item, Exception):
                raise item
            yield _hand_over(item)
    finally:
        stopped.set()
        for maker in makers:
            maker.join()
        source.close()


def _hand_over(batch: _Made) -> Batch:
    """To the consumer's stream, which waits for it while the host goes on."""
    if batch.ready is not None:
        stream = torch.cuda.current_stream(batch.images.device)
        stream.wait_event(batch.ready)
        for tensor in (batch.images, batch.targets):
            tensor.record_stream(stream)
    return batch.images, batch.targets

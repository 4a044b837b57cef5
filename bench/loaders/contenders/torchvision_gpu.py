"""torchvision on a GPU: nvJPEG decodes whole batches, the v2 kernels and v2.CutMix process them.

This is how a loader for a GPU could be written with PyTorch alone. Threads read the files, and two threads prepare
batches ahead, so that nvJPEG decodes one batch (without the GIL) while Python crops the other. A file that nvJPEG
cannot decode raises: the CPU never decodes silently in its place.
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

from bench.loaders.contenders import PREFETCH, Batch, Settings
from bench.loaders.contenders.torchvision import MEAN, STD, EndlessBatchSampler
from dali_cutmix.gpu import KeepAlive, record
from dali_cutmix.sources import scan_folder

LEVELS_MEAN, LEVELS_STD = (255 * torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
MAKERS = 2
"""Threads that prepare batches."""


class _PreparedBatch(NamedTuple):
    """A batch, and on a GPU the event after which it is complete."""

    images: Tensor
    targets: Tensor
    ready: torch.cuda.Event | None


class _BatchMaker:
    """Turns encoded files into batches, in one thread; on a GPU on streams of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._crop = v2.RandomResizedCrop(settings.size, antialias=True)
        self._cutmix = v2.CutMix(num_classes=settings.num_classes)
        self._device = torch.device(settings.device)
        self._held = KeepAlive()
        if self._device.type == "cuda":
            self._decoding, self._finishing = (torch.cuda.Stream(self._device) for _ in range(2))

    def __call__(self, encoded: list[Tensor], labels: Tensor) -> _PreparedBatch:
        if self._device.type == "cpu":
            return _PreparedBatch(*self._finish(self._decode(encoded), labels), None)
        with torch.cuda.device(self._device):
            # decode_jpeg allocates memory on the current stream and writes to it on a stream of its own without
            # waiting. So nothing else may use that memory, and images are kept alive until they have been read.
            with torch.cuda.stream(self._decoding):
                images = self._decode(encoded)
            self._finishing.wait_stream(self._decoding)
            with torch.cuda.stream(self._finishing):
                batch = self._finish(images, labels)
                ready = record(self._device.index)
            self._held.hold(images, ready)
        return _PreparedBatch(*batch, ready)

    def _decode(self, encoded: list[Tensor]) -> list[Tensor]:
        images: list[Tensor] = decode_jpeg(encoded, mode=ImageReadMode.RGB, device=self._device)
        return images

    def _finish(self, decoded: list[Tensor], labels: Tensor) -> tuple[Tensor, Tensor]:
        """Crop and resize images one by one, as they differ in size; flip, normalize and mix them all at once."""
        n, size = len(decoded), self._settings.size
        images = torch.empty(n, 3, size, size, device=self._device)
        for image, target in zip(decoded, images, strict=True):
            box = self._crop.make_params([image])
            region = functional.crop(image, box["top"], box["left"], box["height"], box["width"])
            target.copy_(functional.resize(region.float(), [size, size], antialias=True))
        flipped = self._to_device(torch.rand(n) < 0.5).view(n, 1, 1, 1)
        images = torch.where(flipped, images.flip(3), images)
        # functional.normalize would check the standard deviations, and wait for the device to do so.
        images = images.sub_(self._to_device(LEVELS_MEAN)).div_(self._to_device(LEVELS_STD))
        mixed: tuple[Tensor, Tensor] = self._cutmix(images, self._to_device(labels))
        return mixed

    def _to_device(self, host: Tensor) -> Tensor:
        pinned = host.pin_memory() if self._device.type == "cuda" else host
        return pinned.to(self._device, non_blocking=True)


class _EncodedBatches:
    """Batches of encoded files with their labels, read ahead; several threads may take them."""

    def __init__(self, settings: Settings) -> None:
        files, labels, _ = scan_folder(settings.data)
        self._files, self._labels = [str(settings.data / file) for file in files], torch.tensor(labels)
        self._order = iter(EndlessBatchSampler(len(files), settings.batch_size))
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


def _fill(settings: Settings, source: _EncodedBatches, queue: Queue[Any], stopped: threading.Event) -> None:
    """Fill the queue with batches until stopped; an error is put into it, too."""

    def put(item: _PreparedBatch | Exception) -> None:
        while not stopped.is_set():
            try:
                return queue.put(item, timeout=0.1)
            except Full:
                pass

    try:
        maker = _BatchMaker(settings)
        while not stopped.is_set():
            put(maker(*next(source)))
    except Exception as error:
        put(error)


def batches(settings: Settings) -> Iterator[Batch]:
    """Yield batches with random resized crop (antialiased), flip, normalization and CutMix on the device."""
    source, queue, stopped = _EncodedBatches(settings), Queue[Any](PREFETCH), threading.Event()
    work = partial(_fill, settings, source, queue, stopped)
    makers = [threading.Thread(target=work, name="make batches", daemon=True) for _ in range(MAKERS)]
    for maker in makers:
        maker.start()
    try:
        while True:
            item = queue.get()
            if isinstance(item, Exception):
                raise item
            yield _hand_over(item)
    finally:
        stopped.set()
        for maker in makers:
            maker.join()
        source.close()


def _hand_over(batch: _PreparedBatch) -> Batch:
    """Pass a batch to the consumer's stream, which waits for it while the host goes on."""
    if batch.ready is not None:
        stream = torch.cuda.current_stream(batch.images.device)
        stream.wait_event(batch.ready)
        for tensor in (batch.images, batch.targets):
            tensor.record_stream(stream)
    return batch.images, batch.targets

"""FFCV on the same JPEG bytes, written once into its file format without encoding them again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import torch
from ffcv.fields import IntField, RGBImageField
from ffcv.fields.decoders import IntDecoder, RandomResizedCropRGBImageDecoder
from ffcv.fields.rgb_image import IMAGE_MODES
from ffcv.loader import Loader, OrderOption
from ffcv.transforms import NormalizeImage, RandomHorizontalFlip, Squeeze, ToDevice, ToTensor, ToTorchImage
from ffcv.writer import DatasetWriter
from PIL import Image
from tqdm import tqdm

from bench.common.photos import as_files, digest
from bench.loaders.contenders import Batch, Settings
from dali_cutmix.sources import scan_folder
from dali_cutmix.utils import make_atomically

MEAN = np.array([123.675, 116.28, 103.53])
STD = np.array([58.395, 57.12, 57.375])
EPOCH = 1_000_000


class _EncodedField(RGBImageField):
    """An image field that is written from (bytes of a JPEG file, width, height) and read as any other."""

    def encode(self, destination: Any, image: tuple[bytes, int, int], malloc: Any) -> None:
        encoded, width, height = image
        destination["mode"], destination["width"], destination["height"] = IMAGE_MODES["jpg"], width, height
        destination["data_ptr"], storage = malloc(len(encoded))
        storage[:] = np.frombuffer(encoded, np.uint8)


class _Files:
    """A folder of classes as FFCV's writer needs it: ((bytes, width, height), label) by index."""

    def __init__(self, root: Path) -> None:
        files, labels, _ = scan_folder(root)
        # Several links to one image are one sample here; ``indices`` below repeats it.
        samples = dict(zip(((root / file).resolve() for file in files), labels, strict=True))
        self.paths, self.labels = list(samples), list(samples.values())

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[tuple[bytes, int, int], int]:
        with Image.open(self.paths[index]) as image:
            width, height = image.size
        return (self.paths[index].read_bytes(), width, height), self.labels[index]

    def check(self) -> None:
        """Raise for files that libjpeg-turbo cannot decode: FFCV would return garbage without an error."""
        for path in self.paths:
            with path.open("rb") as file:
                if file.read(2) != b"\xff\xd8":
                    raise ValueError(
                        f"{path}: not a JPEG file, and FFCV decodes no others; name only other loaders in --only."
                    )


def _beton(files: _Files, settings: Settings) -> Path:
    path = settings.cache / f"ffcv-{digest(files.paths)}.beton"
    if not path.exists():
        files.check()
        fields = {"image": _EncodedField(), "label": IntField()}

        def write(target: Path) -> None:
            # By default its progress bar creates a semaphore shared by all processes, which is never released.
            tqdm.set_lock(RLock())
            DatasetWriter(str(target), fields, num_workers=settings.threads).from_indexed_dataset(files)

        make_atomically(path, write)
    return path


def packed(settings: Settings) -> Iterator[Batch]:
    """Yield batches of the packed, smaller images."""
    assert settings.packed is not None  # checked by Contender.unfit_reason
    return batches(replace(settings, data=as_files(settings.packed)))


def batches(settings: Settings) -> Iterator[Batch]:
    """Yield batches from its own random-resized-crop decoder, flip and normalization, with ``os_cache``."""
    files = _Files(settings.data)
    crop = RandomResizedCropRGBImageDecoder((settings.size, settings.size))
    normalize = NormalizeImage(MEAN, STD, np.float32)
    if settings.device == "cpu":
        image = [crop, RandomHorizontalFlip(), normalize, ToTensor(), ToTorchImage()]
        label = [IntDecoder(), ToTensor(), Squeeze()]
    else:
        device = torch.device(settings.device)
        image = [crop, RandomHorizontalFlip(), ToTensor(), ToDevice(device), ToTorchImage(), normalize]
        label = [IntDecoder(), ToTensor(), ToDevice(device), Squeeze()]
    loader = Loader(
        str(_beton(files, settings)),
        batch_size=settings.batch_size,
        num_workers=settings.threads,
        os_cache=True,
        order=OrderOption.RANDOM,
        seed=0,
        drop_last=True,
        # Each epoch starts a thread and fills its queue; in an epoch as long as ImageNet's that costs nothing.
        indices=np.tile(np.arange(len(files)), -(-EPOCH // len(files))),
        custom_fields={"image": RGBImageField},
        pipelines={"image": image, "label": label},
    )
    while True:
        yield from loader

"""torchvision with PyTorch's DataLoader, following its documentation and its reference scripts."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler, default_collate
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms import v2

from bench.loaders.contenders import PREFETCH, Batch, Settings

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class EndlessBatchSampler(Sampler[list[int]]):
    """Batches of one shuffled epoch after the other; a pause between epochs would drain the workers."""

    def __init__(self, images: int, batch_size: int) -> None:
        self.images, self.batch_size = images, batch_size

    def __iter__(self) -> Iterator[list[int]]:
        while True:
            order = torch.randperm(self.images).tolist()
            for start in range(0, self.images - self.batch_size + 1, self.batch_size):
                yield order[start : start + self.batch_size]


def _collate(cutmix: v2.CutMix, samples: list[Any]) -> Any:
    return cutmix(*default_collate(samples))


def _read(path: str) -> torch.Tensor:
    return decode_jpeg(read_file(path), mode=ImageReadMode.RGB)


def pil(settings: Settings) -> Iterator[Batch]:
    """Yield batches that PIL decodes and resamples."""
    return _batches(settings, [v2.PILToTensor()], {})


def io(settings: Settings) -> Iterator[Batch]:
    """Yield batches that ``torchvision.io`` decodes and the v2 kernels resample, on uint8 tensors."""
    return _batches(settings, [], {"loader": _read})


def _batches(
    settings: Settings, to_tensor: list[Callable[[Any], torch.Tensor]], options: dict[str, Any]
) -> Iterator[Batch]:
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(settings.size, antialias=True),
            v2.RandomHorizontalFlip(),
            *to_tensor,
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    loader = DataLoader(
        ImageFolder(str(settings.data), transform=transform, **options),
        batch_sampler=EndlessBatchSampler(settings.images, settings.batch_size),
        collate_fn=partial(_collate, v2.CutMix(num_classes=settings.num_classes)),
        num_workers=settings.threads,
        prefetch_factor=PREFETCH,
        persistent_workers=True,
        pin_memory=settings.device != "cpu",
    )
    for images, targets in loader:
        yield images.to(settings.device, non_blocking=True), targets.to(settings.device, non_blocking=True)

"""timm's loader and its CutMix, combined as in its training script."""

from collections.abc import Iterator

import torch
from timm.data import FastCollateMixup, create_dataset, create_loader

from bench.loaders.contenders import Batch, Settings


def batches(settings: Settings) -> Iterator[Batch]:
    """Yield batches of ``create_loader`` with its prefetcher (uint8 from the workers, normalized on the device)."""
    mixing = FastCollateMixup(
        mixup_alpha=0.0, cutmix_alpha=1.0, prob=1.0, label_smoothing=0.0, num_classes=settings.num_classes
    )
    loader = create_loader(
        create_dataset("", root=str(settings.data), is_training=True),
        input_size=settings.size,
        batch_size=settings.batch_size,
        is_training=True,
        color_jitter=None,
        interpolation="bilinear",
        num_workers=settings.threads,
        collate_fn=mixing,
        pin_memory=settings.device != "cpu",
        device=torch.device(settings.device),
        # Its option for workers that continue across epochs.
        use_multi_epochs_loader=True,
    )
    while True:
        yield from loader

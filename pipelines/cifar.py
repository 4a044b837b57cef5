"""CIFAR-10 and CIFAR-100, or other small images: padded, cropped, mixed training batches.

    cifar-10-python.tar.gz ──read──▶ 32×32 images ──pad, crop──▶ flip, mix ──▶ normalize ──▶ Loader ──▶ images, targets

Copy this file into your project: all that it imports is installed with dali_cutmix.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Unpack

from nvidia.dali import pipeline_def

import dali_cutmix as dc
from dali_cutmix.sources import is_cifar
from dali_cutmix.utils import accepted

PathLike = str | os.PathLike[str]
Root = PathLike | Sequence[PathLike] | Callable[..., tuple[Any, Any]]

MEAN = (125.3, 123.0, 113.9)
"""Mean of the pixels for each RGB channel in levels of 0 to 255, as the paper's authors used it."""
STD = (63.0, 62.1, 66.7)
"""Standard deviation of the pixels for each RGB channel in levels of 0 to 255, as the paper's authors used it."""

read = dc.read_cifar


def train(
    root: Root,
    *,
    size: int = 32,
    padding: int = 4,
    num_classes: int | None = None,
    mix: dc.Policy | None = dc.CutMix(probability=0.5),
    targets: dc.Targets = "dense",
    flip: float = 0.5,
    seed: int = 0,
    **options: Unpack[dc.CommonOptions],
) -> dc.Loader:
    """Images padded with zeros, randomly cropped without resizing, flipped, mixed and normalized (paper, 4.1.2).

    Validation, without cropping: ``imagenet.val(partial(cifar.read, root, "val"), size=32, resize=32, mean=cifar.MEAN,
    std=cifar.STD)``.

    Args:
        root: an archive of CIFAR or the folder that it unpacks to (see ``dc.read_cifar``); or a folder with one
            subfolder of images for each class, several such folders, or a verb with its data.
        size: side of the crop in pixels.
        padding: zeros on each side of an image, in pixels.
        num_classes: K; by default as many classes as the data has. The verb gets it, too, if it takes it.
        mix: ``dc.CutMix``, ``dc.Mixup``, ``dc.Cutout``, ``dc.OneOf`` or None.
        targets: ``"dense"`` yields (images, N×K float32); ``"pairs"`` yields (images, labels N×2 int64, λ N float32).
        flip: chance of a horizontal flip.
        seed: seed of order, crops, flips and mixing; the same for all ranks.
        options: see ``dc.CommonOptions``; ``batch_size`` is 64 by default, ``mean`` and ``std`` are ``MEAN`` and
            ``STD``.

    Returns:
        A loader of N×3×``size``×``size`` images and their targets.

    Raises:
        FileNotFoundError, ValueError, TypeError: before anything is decoded; the message says how to fix it.

    Example:
        >>> from pipelines import cifar
        >>> loader = cifar.train("cifar-10-python.tar.gz", batch_size=4, device="cpu")
        >>> images, targets = next(iter(loader))
        >>> images.shape, targets.shape
        (torch.Size([4, 3, 32, 32]), torch.Size([4, 10]))
    """
    groups = dc.split_options(options, seed=seed, batch_size=64, mean=MEAN, std=STD)
    if callable(root):
        read_samples = root
    elif isinstance(root, (str, os.PathLike)) and is_cifar(root):
        read_samples = partial(read, root, "train")
    else:
        read_samples = partial(dc.read_folder, root)
    classes = accepted(read_samples, num_classes=num_classes)

    @pipeline_def(**groups.pipeline)
    def graph() -> Any:
        jpegs, labels = read_samples(shard=groups.shard, seed=seed, **classes)
        images = dc.padded_crop(jpegs, size, padding=padding, **groups.crop)
        images, *mixed = dc.mix(images, labels, mix, num_classes=num_classes, targets=targets, flip=flip)
        return dc.normalize(images, **groups.normalize), *mixed

    return dc.Loader(graph(), **groups.loader)

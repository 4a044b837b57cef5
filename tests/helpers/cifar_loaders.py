"""Batches of CIFAR as training and validation deliver them."""

from functools import partial

import numpy as np
import torch

from pipelines import cifar, imagenet

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def seen(path, split, **options):
    """Pixels as validation sees them, N×32×32×3, and labels."""
    options = {"batch_size": 4, "size": 32, "resize": 32, "device": "cpu"} | PLAIN | options
    batches = list(imagenet.val(partial(cifar.read, path, split), **options))
    images, labels = (torch.cat(parts).numpy() for parts in zip(*batches, strict=True))
    assert (images == images.astype(np.uint8)).all()
    return images.transpose(0, 2, 3, 1).astype(np.uint8), labels


def loader_of(root, **options):
    """Training of a few images at a time on the CPU."""
    return cifar.train(root, **{"batch_size": 5, "device": "cpu", "num_threads": 1} | options)

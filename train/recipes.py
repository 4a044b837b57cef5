"""Recipes: plain functions that return a `Config`; every value can be changed on the command line."""

from __future__ import annotations

from collections.abc import Callable

from train.config import Config


def digits() -> Config:
    """The embedded handwritten digits on photographs; minutes on two CPU cores.

    Mixing probability, as the paper's authors used for CIFAR, 0.5. No flips and gentle crops: a digit must
    stay one. Validation scenes are square and are seen whole. One thread for arithmetic: kernels this small gain
    little from a second one, lose much when something else wants its core, and give the same bits on any number
    of cores.
    """
    return Config(
        recipe="digits",
        size=48,
        val_resize=48,
        scale=(0.6, 1.0),
        ratio=(0.9, 1 / 0.9),
        flip=0.0,
        batch_size=32,
        mix_probability=0.5,
        model="resnet10",
        epochs=14,
        lr=0.1,
        schedule="cosine",
        warmup_epochs=1,
        weight_decay=1e-3,
        ema=0.99,
        cpu_threads=1,
        channels_last=True,
    )


def imagenet_resnet50() -> Config:
    """The paper's ImageNet training: section 4.1.1, which supplement E.1 refers to.

    300 epochs, batch 256, learning rate 0.1 divided by ten every 75 epochs, weight decay 1e-4, Nesterov
    momentum 0.9, α = 1, every batch mixed; published top-1 error 21.40 %. The authors also used colour jitter
    and PCA lighting, which `pipelines.imagenet` leaves out.
    """
    return Config(
        recipe="imagenet-resnet50",
        model="resnet50",
        batch_size=256,
        epochs=300,
        lr=0.1,
        schedule="step",
        milestones=(75, 150, 225),
        momentum=0.9,
        weight_decay=1e-4,
        mix="cutmix",
        alpha=1.0,
        mix_probability=1.0,
    )


def imagenet_resnet50_fast() -> Config:
    """A short modern schedule: bfloat16, channels_last, cosine with warm-up, label smoothing.

    The learning rate follows the linear rule, 0.1 for each 256 images, after five epochs of warm-up (Goyal et
    al., 2017, arXiv:1706.02677). Training at 176 pixels and validating at 224 saves 40 % of the work and makes
    objects look equally large in both (Touvron et al., 2019, arXiv:1906.06423). Half of the batches are mixed,
    since a short training underfits when all are.
    """
    return Config(
        recipe="imagenet-resnet50-fast",
        model="resnet50",
        size=176,
        val_size=224,
        val_resize=232,
        batch_size=1024,
        mix_probability=0.5,
        epochs=40,
        lr=0.4,
        schedule="cosine",
        warmup_epochs=5,
        label_smoothing=0.1,
        amp=True,
        channels_last=True,
    )


RECIPES: dict[str, Callable[[], Config]] = {
    "digits": digits,
    "imagenet-resnet50": imagenet_resnet50,
    "imagenet-resnet50-fast": imagenet_resnet50_fast,
}

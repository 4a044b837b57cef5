"""Recipes of classifiers, including those for localization."""

from __future__ import annotations

from dataclasses import replace

from pipelines import cifar
from train.config import Config


def digits() -> Config:
    """Embedded handwritten digits on photographs; minutes on two CPU cores.

    Half of the batches are mixed, as by the paper's authors for CIFAR. No flips and only slight crops, so that digits
    stay readable. Validation images are square and are used whole. A single compute thread: kernels this small gain
    little from a second one, are slowed down when another process needs its core, and give the same bits on any number
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
    """The paper's ImageNet training (section 4.1.1), whose model supplement E.1 uses.

    300 epochs, batch 256, learning rate 0.1 divided by ten every 75 epochs, weight decay 1e-4, Nesterov momentum 0.9,
    α = 1, every batch mixed; published top-1 error 21.40 %. The authors also used colour jitter and PCA lighting, which
    `pipelines.imagenet` does not have.
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

    The learning rate follows the linear scaling rule, 0.1 per 256 images, after five epochs of warm-up (Goyal et al.,
    2017, arXiv:1706.02677). Training at 176 pixels and validating at 224 saves 40 % of the computation and makes the
    apparent size of objects equal in both (Touvron et al., 2019, arXiv:1906.06423). Half of the batches are mixed,
    since a short training underfits if all are.
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


def cifar100_pyramidnet200() -> Config:
    """The paper's CIFAR training, whose model supplement E.2 uses: PyramidNet-200, α̃ = 240, 300 epochs.

    Batch 64, learning rate 0.25 divided by ten after 150 and 225 epochs, weight decay 1e-4, half of the batches mixed;
    published top-1 error on CIFAR-100 14.47 %. The data determine the number of classes, so CIFAR-10 works as well.
    """
    return Config(
        recipe="cifar100-pyramidnet200",
        size=32,
        val_resize=32,
        augment="pad-crop",
        mean=cifar.MEAN,
        std=cifar.STD,
        batch_size=64,
        mix_probability=0.5,
        model="pyramidnet200",
        epochs=300,
        lr=0.25,
        milestones=(150, 225),
    )


def cub200_resnet50() -> Config:
    """The paper's localization on CUB-200-2011 (supplement B.1), ResNet-50.

    600 epochs from ImageNet weights (``--init``), batch 32, learning rate 0.01 for the last layer and 0.001 for the
    others, divided by ten every 150 epochs, weight decay 1e-4; published Top-1 Loc 54.81 %, 49.41 % without mixing.
    """
    return Config(
        recipe="cub200-resnet50",
        augment="stretch-crop",
        batch_size=32,
        model="resnet50_wsol",
        epochs=600,
        lr=0.001,
        last_layer_lr=10.0,
        milestones=(150, 300, 450),
    )


def cub200_vgg16gap() -> Config:
    """Like cub200-resnet50, with VGG16-GAP and a tenth of the learning rates."""
    return replace(cub200_resnet50(), recipe="cub200-vgg16gap", model="vgg16_gap", lr=0.0001)


def imagenet_wsol_resnet50() -> Config:
    """The paper's localization on ImageNet (supplement B.2), ResNet-50.

    20 epochs from ImageNet weights (``--init``), batch 256, learning rate 0.1 for the last layer and 0.01 for the
    others, divided by ten every 6 epochs, weight decay 1e-4; published Top-1 Loc 46.25 %, 46.3 % without mixing.
    """
    return Config(
        recipe="imagenet-wsol-resnet50",
        augment="stretch-crop",
        batch_size=256,
        model="resnet50_wsol",
        epochs=20,
        lr=0.01,
        last_layer_lr=10.0,
        milestones=(6, 12, 18),
    )


def imagenet_wsol_vgg16gap() -> Config:
    """Like imagenet-wsol-resnet50, with VGG16-GAP."""
    return replace(imagenet_wsol_resnet50(), recipe="imagenet-wsol-vgg16gap", model="vgg16_gap")

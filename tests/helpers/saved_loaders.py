"""Loaders over small data whose states lie in ``saved/``, written by the version before the packages were made."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import dali_cutmix as dc
from pipelines import captions, cifar, coco, cub, faster_rcnn, imagenet, ssd
from tests.helpers.annotated_images import painted
from tests.helpers.boxed_images import make_cub
from tests.helpers.cifar_archives import make_data, write_folder
from tests.helpers.images import save
from tests.helpers.records import write_webdataset
from tests.helpers.voc_and_coco import caption_content, write_coco

BATCHES = 3
"""Batches that were delivered before a state was taken."""
MIXED = dc.OneOf((dc.CutMix(), dc.Mixup(), dc.Cutout(), None), (3, 2, 1, 1))


def tokens(sentence: str) -> list[int]:
    """Three tokens or more for every sentence."""
    return [1, *(1 + len(word) for word in sentence.split()), 2]


def write_photos(root: Path) -> Path:
    """24 JPEGs of noise in 4 classes."""
    rng = np.random.default_rng(0)
    for i in range(24):
        height, width = (int(side) for side in rng.integers(50, 90, 2))
        ramp = np.linspace(0, 255, width)[None, :, None] * np.ones((height, 1, 3))
        pixels = np.clip(ramp + rng.normal(0, 30, ramp.shape), 0, 255).astype(np.uint8)
        save(pixels, root / "abcd"[i % 4] / f"{i:02d}.jpg")
    return root


def loaders(root: Path) -> dict[str, Callable[[], dc.Loader]]:
    """Functions that build each loader anew over data below ``root``; the cache folder has to be one's own, too."""
    folder = write_photos(root / "photos")
    jpegs = [(path.read_bytes(), number % 4) for number, path in enumerate(sorted(folder.glob("*/*.jpg")))]
    tars = write_webdataset(root / "tars", jpegs, 10, index=False)
    annotated = painted(root / "painted", 12, difficult=0.2)
    write_coco(root / "coco", "train2017", caption_content(), "captions")
    captioned = coco.read_captions(root / "coco", "train")
    archive = write_folder(root, "cifar-10-batches-py", make_data("cifar-10-batches-py"))
    how = {"batch_size": 5, "device": "cpu", "seed": 3}
    small = {"batch_size": 4, "device": "cpu", "seed": 3}
    return {
        "imagenet": partial(imagenet.train, folder, size=40, mix=MIXED, fused=False, **how),
        "imagenet-fused": partial(imagenet.train, folder, size=40, mix=MIXED, fused=True, **how),
        "imagenet-val": partial(imagenet.val, folder, size=32, resize=40, batch_size=5, device="cpu"),
        "webdataset": partial(
            imagenet.train, partial(dc.read_webdataset, tars), size=40, num_classes=4, fused=False, **how
        ),
        "cifar": partial(cifar.train, archive, **how),
        "cub": partial(cub.train, make_cub(root / "cub"), size=32, resize=40, **how | {"batch_size": 2}),
        "ssd": partial(ssd.train, annotated, size=64, **small),
        "faster-rcnn": partial(faster_rcnn.train, annotated, short_side=64, long_side=100, **small),
        "captions": partial(captions.train, captioned, tokens, size=32, resize=40, **small | {"batch_size": 2}),
    }

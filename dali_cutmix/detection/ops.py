"""Objects: annotated images in a graph, with their boxes and labels; verbs that all detectors share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from nvidia.dali import fn, types

from dali_cutmix.ops import decoder_options, digest_of, listed, nodes_of, noted, notes
from dali_cutmix.sources import Source
from dali_cutmix.utils import check_chance, check_shard
from pipelines.annotations import Annotated


class Lookup:
    """The objects of images, by number: a pure function for DALI, so that a checkpoint needs nothing of it."""

    def __init__(self, annotated: Annotated) -> None:
        sides = annotated.sizes[:, [1, 0, 1, 0]].astype(np.float32)
        self._boxes = [boxes / of for boxes, of in zip(annotated.boxes, sides, strict=True)]
        self._labels = [labels.astype(np.int32) for labels in annotated.labels]

    def __call__(self, numbers: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Boxes, n×4 float32, in shares of width and height, and labels, n int32, for each image of a batch."""
        batch = [int(number) for number in numbers]
        return [self._boxes[number] for number in batch], [self._labels[number] for number in batch]


def read_images(
    paths: Sequence[Path],
    classes: tuple[str, ...] = (),
    *,
    shard: tuple[int, int] = (0, 1),
    shuffle: bool = True,
    seed: int = 0,
) -> tuple[Any, Any]:
    """Encoded images and their numbers in ``paths`` (int64 scalars), both on the CPU.

    Args:
        classes: of what the numbers stand for, for ``Loader.classes``; the numbers themselves are no labels.
        shard, shuffle, seed: see ``dc.read_files``.

    Raises:
        ValueError: see ``dc.read_files``.
    """
    notes()
    check_shard(shard)
    root, listing, _ = listed((path, number) for number, path in enumerate(paths))
    source = Source(
        listing,
        root=root,
        shard=shard,
        seed=seed if shuffle else None,
        classes=classes,
        num_classes=len(classes),
        digest=digest_of(listing.digest, ()),  # without the classes: those are in the digest of the annotations
    )
    return nodes_of(source, None)


def objects_of(numbers: Any, annotated: Annotated) -> tuple[Any, Any]:
    """Boxes, n×4 float32 in shares of width and height (x1, y1, x2, y2), and labels, n int32, on the CPU."""
    outputs: Any = fn.python_function(numbers, function=Lookup(annotated), batch_processing=True, num_outputs=2)
    return tuple(outputs)


def decode(jpegs: Any, annotated: Annotated, max_pixels: int, **noted_down: Any) -> tuple[Any, Any]:
    """Decode whole images as their annotations see them: not turned as EXIF says.

    Args:
        noted_down: what else a saved state of the loader belongs to.

    Returns:
        H×W×3 uint8 on the graph's device; height and width, 2 int64 on the CPU.
    """
    encoded, _ = noted(jpegs, max_pixels, annotations=annotated.digest, **noted_down)
    sides = fn.peek_image_shape(encoded, adjust_orientation=False)[:2]
    return fn.decoders.image(encoded, adjust_orientation=False, **decoder_options()), sides


def resize(images: Any, size: Any, **region: Any) -> Any:
    """To a height and width, bilinear, with the filter widened on downscale."""
    return fn.resize(images, size=size, interp_type=types.INTERP_LINEAR, antialias=True, **region)


def flip_all(images: Any, boxes: Any, chance: float) -> tuple[Any, Any]:
    """Mirror images and boxes, each with a chance."""
    mirrored = fn.random.coin_flip(probability=chance)
    return fn.flip(images, horizontal=mirrored, vertical=0), fn.bb_flip(boxes, ltrb=True, horizontal=mirrored)


def in_pixels(boxes: Any, sides: Any) -> Any:
    """Boxes in shares of a size (height, width) as boxes in pixels."""
    height, width = (fn.cast(sides[axis], dtype=types.FLOAT) for axis in (0, 1))
    return boxes * fn.stack(width, height, width, height)


def pad_objects(boxes: Any, labels: Any) -> tuple[Any, Any]:
    """As many for each image as the richest of the batch has: boxes of zeros with label −1, which is no class."""
    return fn.pad(boxes, axes=(0,), fill_value=0), fn.pad(fn.cast(labels, dtype=types.INT64), axes=(0,), fill_value=-1)


def check_chances(**chances: float) -> dict[str, float]:
    """Chances by name, as floats, see ``dali_cutmix.ops.mixing.check_chance``.

    Raises:
        ValueError: one of them is none.
    """
    return {name: check_chance(name, value) for name, value in chances.items()}

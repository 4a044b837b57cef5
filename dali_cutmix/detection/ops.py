"""Verbs of a graph for images with objects: read, decode, resize, flip and pad, with boxes and labels."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from nvidia.dali import fn, types

from dali_cutmix._dali import verb
from dali_cutmix.detection.annotations import Annotated
from dali_cutmix.image_headers import FORMATS
from dali_cutmix.ops import MAX_PIXELS, decoder_options, notes, prepare_decoding, source_nodes
from dali_cutmix.sources import Source, digest_of, list_samples
from dali_cutmix.utils import check_shard


class _Lookup:
    """The objects of images, by the images' numbers: a pure function, so a checkpoint has nothing to save of it."""

    def __init__(self, annotated: Annotated) -> None:
        sides = annotated.sizes[:, [1, 0, 1, 0]].astype(np.float32)
        self._boxes = [boxes / of for boxes, of in zip(annotated.boxes, sides, strict=True)]
        self._labels = [labels.astype(np.int32) for labels in annotated.labels]

    def __call__(self, numbers: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Boxes, n×4 float32 as fractions of width and height, and labels, n int32, for each image of a batch."""
        batch = [int(number) for number in numbers]
        return [self._boxes[number] for number in batch], [self._labels[number] for number in batch]


@verb
def read_images(
    paths: Sequence[Path],
    classes: tuple[str, ...] = (),
    *,
    shard: tuple[int, int] = (0, 1),
    shuffle: bool = True,
    seed: int = 0,
) -> tuple[Any, Any]:
    """Read images together with their numbers, by which whatever belongs to them can be looked up.

    Args:
        paths: images, local ones or all in one S3 bucket.
        classes: names for ``Loader.classes``. The numbers of the images are not labels.
        shard, shuffle, seed: see ``dc.read_files``.

    Returns:
        Encoded bytes (1-D uint8, CPU), and their numbers in ``paths`` (int64 scalars, CPU).

    Raises:
        ValueError: an invalid argument, see ``dc.read_files``.

    Example:
        >>> @pipeline_def(batch_size=2, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, numbers = dc.detection.read_images(annotated.paths, annotated.classes, shuffle=False)
        ...     return dc.resize_center_crop(jpegs, 64, resize=64), numbers
        >>> [numbers.tolist() for images, numbers in dc.Loader(graph())]
        [[0, 1]]
    """
    graph = notes()
    check_shard(shard)
    listed = list_samples((path, number) for number, path in enumerate(paths))
    source = Source(
        listed.names,
        root=listed.root,
        shard=shard,
        seed=seed if shuffle else None,
        classes=classes,
        num_classes=len(classes),
        digest=digest_of(listed.names.digest, ()),  # without the classes: the digest of the annotations has them
    )
    return source_nodes(graph, source)


@verb
def objects_of(numbers: Any, annotated: Annotated) -> tuple[Any, Any]:
    """Look up the objects of images.

    Args:
        numbers: numbers of the images, from :func:`read_images`.
        annotated: the images and their objects.

    Returns:
        Boxes, n×4 float32 (x1, y1, x2, y2) as fractions of width and height, and labels, n int32, both on the CPU.

    Example:
        >>> @pipeline_def(batch_size=1, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, numbers = dc.detection.read_images(annotated.paths, shuffle=False)
        ...     return dc.detection.objects_of(numbers, annotated)
        >>> boxes, labels = next(iter(dc.Loader(graph())))
        >>> boxes.shape, labels.tolist()
        (torch.Size([1, 1, 4]), [[0]])
    """
    outputs: Any = fn.python_function(numbers, function=_Lookup(annotated), batch_processing=True, num_outputs=2)
    return tuple(outputs)


@verb
def decode(
    jpegs: Any, annotated: Annotated, max_pixels: int = MAX_PIXELS, formats: Collection[str] = FORMATS
) -> tuple[Any, Any]:
    """Decode whole images in the orientation that their boxes refer to: that of the file, whatever EXIF says.

    A saved state of the loader is bound to the annotations; see ``dc.bind_state`` for what else changes your batches.

    Args:
        jpegs: encoded bytes on the CPU, from :func:`read_images`.
        annotated: the images and their objects.
        max_pixels: width × height of the largest image that is decoded; a larger one is a bad file.
        formats: names of the formats that are decoded, see ``dc.random_crop``.

    Returns:
        Images, H×W×3 uint8 on the graph's device; their height and width, 2 int64 on the CPU.

    Raises:
        ValueError: invalid ``max_pixels`` or ``formats``.

    Example:
        >>> @pipeline_def(batch_size=1, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, numbers = dc.detection.read_images(annotated.paths, shuffle=False)
        ...     return dc.detection.decode(jpegs, annotated)
        >>> image, size = next(iter(dc.Loader(graph())))
        >>> tuple(image.shape), size.tolist(), annotated.sizes[0].tolist()
        ((1, 3, 96, 128), [[96, 128]], [96, 128])
    """
    graph = notes()
    options = decoder_options(graph)
    bound: Any = {"annotations": annotated.digest}
    encoded, shape = prepare_decoding(graph, jpegs, max_pixels, formats, options, upright=False, **bound)
    return fn.decoders.image(encoded, adjust_orientation=False, **options), shape[:2]


@verb
def resize(images: Any, size: Any, **region: Any) -> Any:
    """Resize to a height and width, bilinear, with a wider filter on downscale.

    Args:
        images: H×W×3 uint8.
        size: (height, width) in pixels, or a node with both, 2 float32.
        region: ``roi_start``, ``roi_end`` and ``roi_relative`` of ``fn.resize``.

    Example:
        >>> @pipeline_def(batch_size=2, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, numbers = dc.detection.read_images(annotated.paths, shuffle=False)
        ...     images, sides = dc.detection.decode(jpegs, annotated)
        ...     return dc.detection.resize(images, (60, 80))
        >>> [tuple(images.shape) for (images,) in dc.Loader(graph())]
        [(2, 3, 60, 80)]
    """
    return fn.resize(images, size=size, interp_type=types.INTERP_LINEAR, antialias=True, **region)


@verb
def flip_all(images: Any, boxes: Any, chance: float) -> tuple[Any, Any]:
    """Flip images horizontally together with their boxes.

    Args:
        images: H×W×3 uint8.
        boxes: n×4 float32 as fractions of width and height.
        chance: chance for each image.

    Example:
        >>> @pipeline_def(batch_size=1, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, numbers = dc.detection.read_images(annotated.paths, shuffle=False)
        ...     images, sides = dc.detection.decode(jpegs, annotated)
        ...     boxes, labels = dc.detection.objects_of(numbers, annotated)
        ...     images, boxes = dc.detection.flip_all(images, boxes, 1.0)
        ...     return images, dc.detection.in_pixels(boxes, sides)
        >>> images, boxes = next(iter(dc.Loader(graph())))
        >>> annotated.boxes[0].tolist(), boxes[0].tolist()  # 128 pixels wide: 8 becomes 128 − 8
        ([[8.0, 4.0, 60.0, 50.0]], [[68.0, 4.0, 120.0, 50.0]])
    """
    mirrored = fn.random.coin_flip(probability=chance)
    return fn.flip(images, horizontal=mirrored, vertical=0), fn.bb_flip(boxes, ltrb=True, horizontal=mirrored)


@verb
def in_pixels(boxes: Any, sides: Any) -> Any:
    """Convert boxes from fractions of width and height to pixels; see :func:`flip_all` for an example.

    Args:
        boxes: n×4 float32 as fractions.
        sides: height and width of the image, a node with 2 numbers.
    """
    height, width = (fn.cast(sides[axis], dtype=types.FLOAT) for axis in (0, 1))
    return boxes * fn.stack(width, height, width, height)


@verb
def pad_objects(boxes: Any, labels: Any) -> tuple[Any, Any]:
    """Give each image as many objects as the image with the most has: boxes of zeros, with the label −1 for "none".

        labels in the graph      labels in the batch, N×M
        [3, 7]                    3   7  -1
        [5]              ──▶      5  -1  -1
        [2, 2, 9]                 2   2   9

    Args:
        boxes: n×4 float32.
        labels: n int32.

    Returns:
        Boxes, M×4 float32, and labels, M int64, where M is the largest n of the batch.

    Example:
        >>> @pipeline_def(batch_size=2, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, numbers = dc.detection.read_images(annotated.paths, shuffle=False)
        ...     return dc.detection.pad_objects(*dc.detection.objects_of(numbers, annotated))
        >>> [labels.tolist() for boxes, labels in dc.Loader(graph())]  # the second image has two objects
        [[[0, -1], [1, 0]]]
    """
    return fn.pad(boxes, axes=(0,), fill_value=0), fn.pad(fn.cast(labels, dtype=types.INT64), axes=(0,), fill_value=-1)

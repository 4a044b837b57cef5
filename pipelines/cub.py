"""CUB-200-2011 in its own layout, and training batches for weakly supervised localization (paper, B) from any data.

    CUB_200_2011 ──read──▶ JPEGs, labels ──stretch, crop──▶ flip, mix ──▶ normalize ──▶ Loader ──▶ images, targets

Copy this file into your project: all that it imports is installed with dali_cutmix.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from nvidia.dali import pipeline_def

import dali_cutmix as dc
from dali_cutmix.detection import Box
from dali_cutmix.utils import Split, accepted, check_split, path_below, read_text

PathLike = str | os.PathLike[str]
Root = PathLike | Sequence[PathLike] | Callable[..., tuple[Any, Any]]
LISTS = ("images.txt", "image_class_labels.txt", "classes.txt", "train_test_split.txt", "bounding_boxes.txt")
"""Names of the five lists in the folder."""


@dataclass(frozen=True)
class Bird:
    """One image."""

    path: Path
    """Path of the image."""
    label: int
    """Label of its class, from 0; the files count from 1."""
    is_training: bool
    """Whether it belongs to the training part."""
    box: Box
    """Box of the bird in pixels."""


@dataclass(frozen=True)
class Cub:
    """The content of the lists in a CUB-200-2011 folder."""

    classes: tuple[str, ...]
    """Names of the classes, in the order of their labels."""
    birds: tuple[Bird, ...]
    """All images, in the order of the lists."""

    def split(self, split: Split) -> list[Bird]:
        """The images of the training part, or of the test part (``"val"``).

        Raises:
            ValueError: an invalid split.
        """
        check_split(split)
        return [bird for bird in self.birds if bird.is_training == (split == "train")]


def is_cub(root: PathLike) -> bool:
    """Whether a folder has the layout of CUB-200-2011.

    Example:
        >>> from pipelines import cub
        >>> cub.is_cub("CUB_200_2011"), cub.is_cub("photos")
        (True, False)
    """
    return Path(root, "images.txt").is_file() and Path(root, "images").is_dir()


def read_lists(root: PathLike) -> Cub:
    """Read the five lists of a folder with the layout of CUB-200-2011.

    Raises:
        FileNotFoundError: a list is missing.
        ValueError: a line is invalid, or the lists disagree; the message names the file.

    Example:
        >>> from pipelines import cub
        >>> lists = cub.read_lists("CUB_200_2011")
        >>> lists.classes
        ('001.Bright_bird', '002.Middle_bird', '004.Pale_bird')
        >>> [bird.label for bird in lists.split("train")]
        [0, 0, 0, 1, 1, 1, 2, 2, 2]
    """
    folder = Path(root)
    files = [folder / name for name in LISTS]
    _, labels_file, _, parts_file, boxes_file = files
    names, labels, classes, parts, boxes = map(_table, files)
    for file, table in zip(files, (names, labels, None, parts, boxes), strict=True):
        if table is not None and table.keys() != names.keys():
            odd = min(table.keys() ^ names.keys())
            raise ValueError(f"{file}: it and images.txt do not list the same images (number {odd}).")
    numbers = {number: label for label, number in enumerate(classes)}

    def bird(number: int) -> Bird:
        (label,), (part,) = _numbers(labels_file, labels, number, 1), _numbers(parts_file, parts, number, 1)
        x, y, width, height = _numbers(boxes_file, boxes, number, 4)
        if label not in numbers:
            raise ValueError(f"{labels_file}: image {number} is of class {label:g}, which is not in classes.txt.")
        if part not in (0, 1):
            raise ValueError(f"{parts_file}: image {number} has {part:g}; expected 1 for training, or 0 for testing.")
        path = path_below(folder / "images", names[number], f"{files[0]}, image {number}")
        return Bird(path, numbers[int(label)], part == 1, (x, y, x + width, y + height))

    return Cub(tuple(classes.values()), tuple(map(bird, names)))


def _table(path: Path) -> dict[int, str]:
    """Lines of a number and a text."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected the folder CUB_200_2011 with {', '.join(LISTS)}.")
    return dict(_lines(path))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for line, text in enumerate(read_text(path).splitlines(), 1):
        number, _, content = text.strip().partition(" ")
        if number:
            if not (number.isdecimal() and len(number) < 10 and content):
                raise ValueError(f"{path}, line {line}: {text!r}; expected a number and a text.")
            yield int(number), content


def _numbers(file: Path, table: dict[int, str], number: int, count: int) -> list[float]:
    try:
        found = [float(word) for word in table[number].split()]
    except ValueError:
        found = []
    if len(found) != count:
        raise ValueError(f"{file}: image {number} has {table[number]!r}; expected {count} number{'s' * (count > 1)}.")
    return found


def read(root: PathLike, split: Split, **options: Any) -> tuple[Any, Any]:
    """Read the images and labels of a CUB-200-2011 folder; a verb, for graphs of your own.

    Args:
        root: folder with the five lists and ``images``.
        split: ``"train"``, or ``"val"`` for the test images.
        options: ``shard``, ``shuffle``, ``seed``, ``num_classes`` of ``dc.read_files``.

    Returns:
        See ``dc.read_folder``.

    Raises:
        FileNotFoundError: a list is missing.
        ValueError: a list is invalid (see :func:`read_lists`), the split is invalid or has no images, or another
            argument is invalid (see ``dc.read_files``).

    Example:
        >>> from functools import partial
        >>> from pipelines import cub, imagenet
        >>> loader = imagenet.val(partial(cub.read, "CUB_200_2011", "val"), size=64, resize=64, device="cpu")
        >>> loader.num_samples
        9
    """
    lists = read_lists(root)
    samples = [(bird.path, bird.label) for bird in lists.split(split)]
    if not samples:
        raise ValueError(f"{root}: no images for split={split!r}; train_test_split.txt must name at least one.")
    return dc.read_files(samples, classes=lists.classes, **options)


def train(
    root: Root,
    *,
    size: int = 224,
    resize: int = 256,
    num_classes: int | None = None,
    mix: dc.Policy | None = dc.CutMix(),
    targets: dc.Targets = "dense",
    flip: float = 0.5,
    seed: int = 0,
    **options: Unpack[dc.CommonOptions],
) -> dc.Loader:
    """Images stretched to ``resize``×``resize``, randomly cropped, flipped, mixed and normalized (paper, B).

    Validation: ``imagenet.val(partial(cub.read, root, "val"), size=size, resize=resize, stretch=True)``.

    Args:
        root: the folder of CUB-200-2011; or a folder with one subfolder of images for each class, several such folders,
            or a verb with its data.
        size: side of the crop in pixels.
        resize: side of the stretched image in pixels.
        num_classes: K; by default as many classes as the data has. The verb gets it, too, if it takes it.
        mix: ``dc.CutMix``, ``dc.Mixup``, ``dc.Cutout``, ``dc.OneOf`` or None.
        targets: ``"dense"`` yields (images, N×K float32); ``"pairs"`` yields (images, labels N×2 int64, λ N float32).
        flip: chance of a horizontal flip.
        seed: seed of order, crops, flips and mixing; the same for all ranks.
        options: see ``dc.CommonOptions``; ``batch_size`` is 32 by default.

    Returns:
        A loader of N×3×``size``×``size`` images and their targets.

    Raises:
        FileNotFoundError, ValueError, TypeError: before anything is decoded; the message says how to fix it.

    Example:
        >>> from pipelines import cub
        >>> loader = cub.train("CUB_200_2011", batch_size=2, device="cpu")
        >>> images, targets = next(iter(loader))
        >>> images.shape, targets.shape
        (torch.Size([2, 3, 224, 224]), torch.Size([2, 3]))
    """
    groups = dc.split_options(options, seed=seed, batch_size=32)
    if callable(root):
        read_samples = root
    elif isinstance(root, (str, os.PathLike)) and is_cub(root):
        read_samples = partial(read, root, "train")
    else:
        read_samples = partial(dc.read_folder, root)
    classes = accepted(read_samples, num_classes=num_classes)

    @pipeline_def(**groups.pipeline)
    def graph() -> Any:
        jpegs, labels = read_samples(shard=groups.shard, seed=seed, **classes)
        images = dc.stretch_random_crop(jpegs, size, resize=resize, **groups.crop)
        images, *mixed = dc.mix(images, labels, mix, num_classes=num_classes, targets=targets, flip=flip)
        return dc.normalize(images, **groups.normalize), *mixed

    return dc.Loader(graph(), **groups.loader)

"""CUB-200-2011 in its own layout, and the crops of weakly supervised localization (paper, B) for any data."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from nvidia.dali import pipeline_def

import dali_cutmix as dc
from pipelines.annotations import Box
from pipelines.split import Split, check_split

PathLike = str | os.PathLike[str]
Root = PathLike | Sequence[PathLike] | Callable[..., tuple[Any, Any]]
LISTS = ("images.txt", "image_class_labels.txt", "classes.txt", "train_test_split.txt", "bounding_boxes.txt")


@dataclass(frozen=True)
class Bird:
    """One image."""

    path: Path
    label: int
    """From 0; the files count from 1."""
    is_training: bool
    box: Box


@dataclass(frozen=True)
class Cub:
    """What the lists of a CUB-200-2011 folder say."""

    classes: tuple[str, ...]
    birds: tuple[Bird, ...]

    def split(self, split: Split) -> list[Bird]:
        """The training part, or the test part, which validates.

        Raises:
            ValueError: another split.
        """
        check_split(split)
        return [bird for bird in self.birds if bird.is_training == (split == "train")]


def is_cub(root: PathLike) -> bool:
    """Whether a folder has CUB-200-2011's layout."""
    return Path(root, "images.txt").is_file() and Path(root, "images").is_dir()


def read_lists(root: PathLike) -> Cub:
    """Read the five lists of a folder in CUB-200-2011's layout.

    Raises:
        FileNotFoundError: a list is missing.
        ValueError: a line is not what it should be, or the lists do not belong together.
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
            raise ValueError(f"{labels_file}: image {number} is of class {label:g}, which classes.txt has not.")
        if part not in (0, 1):
            raise ValueError(f"{parts_file}: image {number} has {part:g}; wanted is 1 for training, or 0 for testing.")
        path = folder / "images" / names[number]
        return Bird(path, numbers[int(label)], part == 1, (x, y, x + width, y + height))

    return Cub(tuple(classes.values()), tuple(map(bird, names)))


def _table(path: Path) -> dict[int, str]:
    """Lines of a number and what belongs to it."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; wanted is the folder CUB_200_2011 with {', '.join(LISTS)}.")
    return dict(_lines(path))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        number, _, content = text.strip().partition(" ")
        if number:
            if not (number.isdecimal() and content):
                raise ValueError(f"{path}, line {line}: {text!r}; wanted is a number and what belongs to it.")
            yield int(number), content


def _numbers(file: Path, table: dict[int, str], number: int, count: int) -> list[float]:
    try:
        found = [float(word) for word in table[number].split()]
    except ValueError:
        found = []
    if len(found) != count:
        raise ValueError(f"{file}: image {number} has {table[number]!r}; wanted is {count} number{'s' * (count > 1)}.")
    return found


def read(root: PathLike, split: Split, **options: Any) -> tuple[Any, Any]:
    """The images of a CUB-200-2011 folder and their labels, a verb.

    Args:
        root: with the five lists and ``images``.
        split: ``"train"``, or ``"val"``: the test images.
        options: ``shard``, ``shuffle``, ``seed``, ``num_classes`` of ``dc.read_files``.

    Returns:
        See ``dc.read_folder``.

    Raises:
        FileNotFoundError: a list is missing.
        ValueError: see :func:`read_lists`; another split, or one without images; and see ``dc.read_files``.
    """
    lists = read_lists(root)
    samples = [(bird.path, bird.label) for bird in lists.split(split)]
    if not samples:
        raise ValueError(f"{root}: no images for split={split!r}; train_test_split.txt must name at least one.")
    return dc.read_files(samples, classes=lists.classes, **options)


def train(
    root: Root,
    *,
    batch_size: int = 32,
    size: int = 224,
    resize: int = 256,
    num_classes: int | None = None,
    mix: dc.Policy | None = dc.CutMix(),
    targets: dc.Targets = "dense",
    device: str | torch.device = "auto",
    shard: tuple[int, int] = (0, 1),
    seed: int = 0,
    num_threads: int | None = None,
    prefetch: int = 2,
    dtype: torch.dtype | str = torch.float32,
    channels_last: bool = False,
    mean: tuple[float, ...] = dc.IMAGENET_MEAN,
    std: tuple[float, ...] = dc.IMAGENET_STD,
    flip: float = 0.5,
    max_pixels: int = dc.MAX_PIXELS,
    on_error: Literal["raise", "replace"] = "raise",
    max_bad: float = 0.01,
    bad_log: PathLike = "bad_files.jsonl",
) -> dc.Loader:
    """Images stretched to ``resize``×``resize``, cropped at random, flipped, mixed and normalized (paper, B).

    Args:
        root: the folder of CUB-200-2011, or what ``pipelines.imagenet.train`` takes.
        size, resize: sides of the crop and of the stretched image, in pixels.
        mean, std: of the pixels for each channel, in levels of 0 to 255.

    The other arguments, what is returned and what is raised are those of ``pipelines.imagenet.train``. Validation is
    ``imagenet.val(partial(cub.read, root, "val"), size=size, resize=resize, stretch=True)``.
    """
    if callable(root):
        read_samples = root
    elif isinstance(root, (str, os.PathLike)) and is_cub(root):
        read_samples = partial(read, root, "train")
    else:
        read_samples = partial(dc.read_folder, root)

    @pipeline_def
    def graph() -> Any:
        jpegs, labels = read_samples(shard=shard, seed=seed)
        images = dc.stretch_random_crop(jpegs, size, resize=resize, max_pixels=max_pixels)
        images, *shares = dc.mix(images, labels, mix, num_classes=num_classes, targets=targets, flip=flip)
        return dc.normalize(images, mean=mean, std=std, dtype=dtype, channels_last=channels_last), *shares

    options = dc.pipeline_options(
        batch_size, device=device, num_threads=num_threads, prefetch=prefetch, seed=seed, shard=shard
    )
    return dc.Loader(graph(**options), on_error=on_error, max_bad=max_bad, bad_log=bad_log)

"""Annotations: images with the boxes of their objects, or with sentences about them, in one form; and their checks."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from dali_cutmix.utils import in_order

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels from the image's left upper corner, the last two exclusive: x2 − x1 is the width."""
Size = tuple[int, int]
"""Height and width in pixels."""
_UNREADABLE = (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning)
"""What Pillow raises at a header: ValueError at text of a PNG that unpacks to too much, the warning with -W error."""
_TOLERANCE = 1.0  # pixels: some tools count from 0 where VOC counts from 1; COCO's corners are rounded


@dataclass(frozen=True, eq=False)
class Annotated:
    """Images, and which objects are where in them; in pixels as the file has them, before any turn by EXIF."""

    classes: tuple[str, ...]
    """Names of the K classes, in the order of their labels."""
    paths: tuple[Path, ...]
    """Of the N images."""
    sizes: np.ndarray
    """N×2 int64: height and width of each image in pixels."""
    boxes: tuple[np.ndarray, ...]
    """For each image n×4 float32, see `Box`; within the image, and with an area."""
    labels: tuple[np.ndarray, ...]
    """For each image n int64, 0 to K − 1."""
    difficult: tuple[np.ndarray, ...]
    """For each image n bool: VOC's difficult objects, COCO's crowds. Not trained on; evaluation ignores them."""

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def digest(self) -> str:
        """Of all but the paths: two that agree in it have the same objects."""
        digest = hashlib.sha256("\0".join(self.classes).encode())
        for size, *objects in zip(self.sizes, self.boxes, self.labels, self.difficult, strict=True):
            digest.update(np.array([*size, len(objects[0])]).tobytes())
            for part in objects:
                digest.update(part.tobytes())
        return digest.hexdigest()

    def for_training(self) -> "Annotated":
        """Without the difficult objects, and without the images that then have none.

        Raises:
            ValueError: no image is left.
        """
        easy = [~difficult for difficult in self.difficult]
        kept = [number for number, mask in enumerate(easy) if mask.any()]
        if not kept:
            raise ValueError(
                f"none of {len(self)} images has an object that is not difficult; training needs at least one."
            )
        return Annotated(
            self.classes,
            tuple(self.paths[number] for number in kept),
            self.sizes[kept],
            *(
                tuple(part[number][easy[number]] for number in kept)
                for part in (self.boxes, self.labels, self.difficult)
            ),
        )


@dataclass(frozen=True, eq=False)
class Captioned:
    """Images, and sentences that say what they show."""

    paths: tuple[Path, ...]
    """Of the N images."""
    sentences: tuple[tuple[str, ...], ...]
    """For each image one or more."""

    def __len__(self) -> int:
        return len(self.paths)


class Object(NamedTuple):
    """One object, as a file has it."""

    where: str
    """File and entry, for errors."""
    given: str
    """The box in the file's own form, for errors."""
    label: int
    box: Box
    difficult: bool


class Entry(NamedTuple):
    """One image and its objects, as a file has them."""

    where: str
    """File and entry, for errors."""
    path: Path
    size: Size | None
    """None where the file does not say."""
    objects: Iterable[Object]


def annotate(classes: tuple[str, ...], entries: Iterable[Entry]) -> Annotated:
    """Check every entry against its image's header, and put all in one form.

    A box that reaches out of its image by a pixel or less is cut off at the border.

    Raises:
        FileNotFoundError: an image is missing.
        ValueError: an image has another size than its entry says; a box has no area or reaches out of its image; there
            are no entries. File and entry are named.
    """
    paths, sizes, boxes, labels, difficult = [], [], [], [], []
    with ThreadPoolExecutor(8) as pool:  # a header is read in 0.1 ms, or waited for where the disk is remote
        for entry, size in in_order(pool, _measured, entries, ahead=64):
            objects = list(entry.objects)
            paths.append(entry.path)
            sizes.append(size)
            boxes.append(np.array([cut_to_image(one, size) for one in objects], np.float32).reshape(-1, 4))
            labels.append(np.array([one.label for one in objects], np.int64))
            difficult.append(np.array([one.difficult for one in objects], bool))
    if not paths:
        raise ValueError("no images are listed; at least one is needed.")
    return Annotated(classes, tuple(paths), np.array(sizes, np.int64), tuple(boxes), tuple(labels), tuple(difficult))


def check_exists(path: Path, where: str) -> None:
    """Refuse an image that is not there.

    Raises:
        FileNotFoundError: it is missing.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{where}: {path}: no such image. Put it there, or remove the entry.")


def _measured(entry: Entry) -> tuple[Entry, Size]:
    """An entry with the size of its image: the header's."""
    check_exists(entry.path, entry.where)
    try:
        with Image.open(entry.path) as image:
            size = image.height, image.width
    except _UNREADABLE as error:
        if entry.size is None:
            raise ValueError(f"{entry.where}: {entry.path} cannot be read as an image ({error}). Remove it.") from error
        return entry, entry.size  # a bad file is the Loader's business: it stops with its name, or replaces it
    if entry.size not in (None, size):
        raise ValueError(
            f"{entry.where}: it says {_pixels(entry.size)}, but {entry.path} has {_pixels(size)}. Correct the entry; "
            "boxes refer to the pixels as the file has them, before any turn by EXIF."
        )
    return entry, size


def cut_to_image(one: Object, size: Size) -> Box:
    """An object's box, cut off at the image's border where it reaches out by a pixel or less.

    Raises:
        ValueError: it has no area, or reaches out by more; the object's entry is named.
    """
    height, width = size
    x1, y1, x2, y2 = one.box
    if not (x1 < x2 and y1 < y2):
        raise ValueError(f"{one.where}: its box, {one.given}, has no area. Correct it, or remove the object.")
    inside = max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height)
    out = max(abs(corner - cut) for corner, cut in zip(one.box, inside, strict=True))
    if out > _TOLERANCE or not (inside[0] < inside[2] and inside[1] < inside[3]):
        raise ValueError(
            f"{one.where}: its box, {one.given}, reaches out of the image, which has {_pixels(size)}. Correct it, or "
            "remove the object."
        )
    return inside


def _pixels(size: Size) -> str:
    return f"{size[1]}×{size[0]} pixels (width×height)"

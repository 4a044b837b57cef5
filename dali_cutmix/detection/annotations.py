"""Annotations: images with the boxes of their objects, or with captions, in one form and checked."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dali_cutmix.utils import in_order

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels from the image's upper left corner. x2 and y2 are exclusive: the width is x2 − x1."""
Size = tuple[int, int]
"""Height and width in pixels."""
_TOLERANCE = 1.0  # pixels: some tools count from 0 where VOC counts from 1; COCO's corners are rounded


@dataclass(frozen=True, eq=False)
class Annotated:
    """N images with their objects. Sizes and boxes are in pixels of the file, before any rotation by EXIF.

    :func:`annotate` makes one from the entries of a data set.

    Example:
        >>> annotated.classes
        ('cat', 'dog')
        >>> annotated.boxes[0], annotated.labels[0]
        (array([[ 8.,  4., 60., 50.]], dtype=float32), array([0]))
    """

    classes: tuple[str, ...]
    """Names of the K classes, in the order of their labels."""
    paths: tuple[Path, ...]
    """Path of each image."""
    sizes: np.ndarray
    """Height and width of each image in pixels, N×2 int64."""
    boxes: tuple[np.ndarray, ...]
    """Boxes of each image, n×4 float32, see `Box`; they lie within the image and have an area."""
    labels: tuple[np.ndarray, ...]
    """Labels of each image's objects, n int64, 0 to K − 1."""
    difficult: tuple[np.ndarray, ...]
    """VOC's difficult objects and COCO's crowds, n bool for each image: not trained on, ignored in evaluation."""

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def digest(self) -> str:
        """Digest of everything except the paths; a saved state of a loader is bound to it."""
        digest = hashlib.sha256("\0".join(self.classes).encode())
        for size, *objects in zip(self.sizes, self.boxes, self.labels, self.difficult, strict=True):
            digest.update(np.array([*size, len(objects[0])]).tobytes())
            for part in objects:
                digest.update(part.tobytes())
        return digest.hexdigest()

    def for_training(self) -> "Annotated":
        """The same images without difficult objects; images with no other objects are left out.

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
    """N images with captions: sentences that say what each shows.

    Example:
        >>> captioned = dc.detection.Captioned((Path("photos/cat/0.jpg"),), (("a cat", "a cat on a wall"),))
        >>> len(captioned)
        1
    """

    paths: tuple[Path, ...]
    """Path of each image."""
    sentences: tuple[tuple[str, ...], ...]
    """Captions of each image, one or more."""

    def __len__(self) -> int:
        return len(self.paths)


class Object(NamedTuple):
    """One object, as an annotation file has it."""

    where: str
    """File and entry, for error messages."""
    given: str
    """The box as the file has it, for error messages."""
    label: int
    """Label of its class, from 0."""
    box: Box
    """Its box in pixels, see `Box`."""
    difficult: bool
    """Whether it is one of VOC's difficult objects or COCO's crowds."""


class Entry(NamedTuple):
    """One image and its objects, as an annotation file has them."""

    where: str
    """File and entry, for error messages."""
    path: Path
    """Path of the image."""
    size: Size | None
    """Height and width as the file has them; None where it has none."""
    objects: Iterable[Object]
    """Its objects, in the order of the file."""


def annotate(classes: tuple[str, ...], entries: Iterable[Entry]) -> Annotated:
    """Check every entry against its image's header, and bring all of them into one form.

    A box that extends past its image by a pixel or less is clipped at the border.

    Args:
        classes: names of the classes, in the order of their labels.
        entries: one for each image.

    Raises:
        FileNotFoundError: an image is missing.
        ValueError: the size of an image differs from its entry's; a box has no area or extends past its image; there
            are no entries. The message names file and entry.

    Example:
        >>> cat = dc.detection.Object("my list, object 1", "8,4,60,50", 0, (8, 4, 60, 50), difficult=False)
        >>> entry = dc.detection.Entry("my list, image 1", Path("photos/cat/0.jpg"), None, [cat])
        >>> annotated = dc.detection.annotate(("cat", "dog"), [entry])
        >>> len(annotated)
        1
    """
    paths, sizes, boxes, labels, difficult = [], [], [], [], []
    # Reading a header takes 0.1 ms, or a round trip to a remote disk.
    for entry, size in in_order(_measured, entries, threads=8, ahead=64):
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
    """Refuse an image that is missing.

    Args:
        path: path of the image.
        where: file and entry that name it, for the message.

    Raises:
        FileNotFoundError: it is missing.

    Example:
        >>> dc.detection.check_exists(Path("gone.jpg"), "my list, line 3")
        Traceback (most recent call last):
        FileNotFoundError: my list, line 3: gone.jpg: no such image. Put it there, or remove the entry.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{where}: {path}: no such image. Put it there, or remove the entry.")


def _measured(entry: Entry) -> tuple[Entry, Size]:
    """An entry with the size of its image, read from the image's header."""
    from PIL import Image

    check_exists(entry.path, entry.where)
    try:
        with Image.open(entry.path) as image:
            size = image.height, image.width
    # ValueError: a text in a PNG is too large when unpacked. The warning: Python runs with -W error.
    except (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        if entry.size is None:
            raise ValueError(f"{entry.where}: {entry.path} cannot be read as an image ({error}). Remove it.") from error
        if not all(0 < side < 2**31 for side in entry.size):
            raise ValueError(f"{entry.where}: it says {_pixels(entry.size)}; correct the entry.") from error
        return entry, entry.size  # the Loader handles bad files: it stops with the file's name, or replaces it
    if entry.size not in (None, size):
        raise ValueError(
            f"{entry.where}: it says {_pixels(entry.size)}, but {entry.path} has {_pixels(size)}. Correct the entry; "
            "boxes are in pixels of the file, before any rotation by EXIF."
        )
    return entry, size


def cut_to_image(one: Object, size: Size) -> Box:
    """An object's box, clipped at the image's border if it extends past it by a pixel or less.

    Args:
        one: the object.
        size: height and width of its image.

    Raises:
        ValueError: the box has no area, or extends further; the message names the object's entry.

    Example:
        >>> one = dc.detection.Object("my list, object 1", "-0.5,0,30,20", 0, (-0.5, 0, 30, 20), difficult=False)
        >>> dc.detection.cut_to_image(one, (20, 40))
        (0.0, 0, 30, 20)
    """
    height, width = size
    x1, y1, x2, y2 = one.box
    if not (x1 < x2 and y1 < y2):
        raise ValueError(f"{one.where}: its box, {one.given}, has no area. Correct it, or remove the object.")
    inside = max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height)
    out = max(abs(corner - cut) for corner, cut in zip(one.box, inside, strict=True))
    if out > _TOLERANCE or not (inside[0] < inside[2] and inside[1] < inside[3]):
        raise ValueError(
            f"{one.where}: its box, {one.given}, extends past the image, which has {_pixels(size)}. Correct it, or "
            "remove the object."
        )
    return inside


def _pixels(size: Size) -> str:
    return f"{size[1]}×{size[0]} pixels (width×height)"

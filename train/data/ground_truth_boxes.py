"""Ground-truth boxes of images: read from a CSV file, XML files or CUB-200-2011's lists, and moved into the crop."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import ExifTags, Image

from dali_cutmix.detection import Object, cut_to_image
from dali_cutmix.sources import scan_folder
from pipelines import cub
from train.config import Config

COLUMNS = ("path", "x1", "y1", "x2", "y2")


@dataclass(frozen=True)
class Boxed:
    """Images with their labels and boxes."""

    name: str
    """Name of the data, for messages."""
    classes: tuple[str, ...]
    paths: list[Path]
    labels: list[int]
    boxes: list[np.ndarray]
    """Boxes of each image, n×4 float64: x1, y1, x2, y2 in pixels of the file, the last two exclusive."""


def read_boxed(data: Path, boxes: Path | None) -> Boxed:
    """Read all images of a folder of classes, or the test images of CUB-200-2011, with their boxes.

    A CSV file has a row for each box; an image may have several, and other columns are ignored::

        path,x1,y1,x2,y2
        val/0/0005-2.jpg,12,30,61,88

    Args:
        data: the folder.
        boxes: a CSV file, whose paths are relative to its folder or to ``data``; or a folder with an XML file for each
            image in ImageNet's format, which is VOC's: coordinates count from 1 and the last pixel belongs to the
            object, so a box becomes xmin - 1, ymin - 1, xmax, ymax, as in `pipelines.voc` and in ImageNet's rule for
            overlaps. (In a file that counts from 0, boxes are off by at most a pixel.) If not given, ``boxes.csv`` in
            ``data`` or in its parent folder.

    Raises:
        FileNotFoundError: there are no such images or boxes.
        ValueError: an image has no box or does not exist, or a box is invalid; the message names the place.
    """
    source = boxes or find_boxes(data)
    if source == data:
        lists = cub.read_lists(data)
        birds = lists.split("val")
        found = [np.array([bird.box]) for bird in birds]
        return Boxed(
            f"{data} (val)", lists.classes, [bird.path for bird in birds], [bird.label for bird in birds], found
        )
    files, labels, classes = scan_folder(data)
    paths = [data / file for file in files]
    if source is None:
        raise FileNotFoundError(
            f"{data}: no boxes.csv in it or beside it; give --boxes, a CSV file with {', '.join(COLUMNS)} or a folder "
            "of XML files."
        )
    if source.is_dir():
        of_image = _xml(source)
    elif source.is_file():
        of_image = _csv(source, data)
    else:
        raise FileNotFoundError(
            f"--boxes {source}: no such file or folder; give a CSV file with {', '.join(COLUMNS)}, or a folder "
            "of XML files."
        )
    found = []
    for path, label in zip(paths, labels, strict=True):
        mine = of_image(path, classes[label])
        if not mine:
            raise ValueError(f"{path}: no box for this image in {source}; add one, or remove the image.")
        found.append(np.array(mine))
    return Boxed(str(data), tuple(classes), paths, labels, found)


def find_boxes(data: Path) -> Path | None:
    """The default place of a folder's boxes: itself for CUB-200-2011, else ``boxes.csv`` in it or in its parent."""
    if cub.is_cub(data):
        return data
    return next((path for path in (data / "boxes.csv", data.parent / "boxes.csv") if path.is_file()), None)


OfImage = Callable[[Path, str], list[list[float]]]
"""Boxes of an image, by its path and the name of its class."""


def _csv(file: Path, data: Path) -> OfImage:
    boxes: dict[str, list[list[float]]] = {}
    beside, root = os.path.realpath(file.parent), os.path.realpath(data)
    with file.open(newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream)
        if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
            raise ValueError(f"{file}: no column {missing[0]}; it needs the columns {', '.join(COLUMNS)}.")
        for row in rows:
            where = f"{file}, line {rows.line_num}"
            try:
                box = [float(row[name]) for name in COLUMNS[1:]]
            except (TypeError, ValueError) as error:
                shown = ", ".join(f"{name}={row[name]!r}" for name in COLUMNS)
                raise ValueError(f"{where}: {shown} given; coordinates must be numbers.") from error
            path = os.path.join(beside, row["path"])
            if not Path(path).is_file():
                if path.startswith(root + os.sep):
                    raise ValueError(f"{where}: {row['path']}: there is no such image in {data}; remove the line.")
                path = os.path.join(root, row["path"])
            boxes.setdefault(os.path.realpath(path), []).append(box)
    return lambda path, _: boxes.get(os.path.realpath(path), [])


def _xml(folder: Path) -> OfImage:
    files = {path.stem: path for path in folder.rglob("*.xml")}

    def of_image(path: Path, name: str) -> list[list[float]]:
        if path.stem not in files:
            return []
        file = files[path.stem]
        try:
            objects = list(ElementTree.parse(file).iter("object"))
            named = [one for one in objects if one.findtext("name") == name] or objects
            corners = (("xmin", -1), ("ymin", -1), ("xmax", 0), ("ymax", 0))  # count from 1, the last ones inclusive
            return [[float(one.findtext(f"bndbox/{name}", "")) + shift for name, shift in corners] for one in named]
        except (ElementTree.ParseError, ValueError) as error:
            raise ValueError(f"{file}: not an annotation with bndbox of xmin, ymin, xmax, ymax ({error}).") from error

    return of_image


def boxes_in_crop(path: Path, boxes: np.ndarray, config: Config) -> np.ndarray:
    """Move an image's boxes into the crop that validation takes of it, and clip them to the crop.

    Boxes refer to the pixels as stored in the file; the image is rotated by its EXIF orientation, as DALI does. A box
    that exceeds the image by at most a pixel is clipped to it, see `dali_cutmix.detection.cut_to_image`.

    Args:
        path: the image.
        boxes: n×4 float64, in pixels of the file.
        config: configuration of the training, for the size of the crop.

    Returns:
        n×4 float64, in pixels of the crop.

    Raises:
        ValueError: the file is not an image, or a box has no area or exceeds the image; the message names the file.
    """
    try:
        with Image.open(path) as image:
            size = image.size
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read as an image ({error}).") from error
    objects = [
        Object(str(path), ", ".join(f"{corner:g}" for corner in box), 0, box, difficult=False)
        for box in map(tuple, boxes.tolist())
    ]
    inside = np.array([cut_to_image(one, (size[1], size[0])) for one in objects])
    corners, sides = turned(inside.reshape(-1, 2, 2), np.array(size), orientation)
    resized = np.full(2, config.val_resize) if config.stretches else sides * config.val_resize // sides.min()
    corner = np.round((resized - config.crop) / 2)
    return np.clip(corners * (resized / sides) - corner, 0, config.crop).reshape(-1, 4)


def turned(corners: np.ndarray, size: np.ndarray, orientation: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes as n×2×2 (corner, x and y), and (width, height), of an image rotated by its EXIF orientation, 1 to 8."""
    flipped = np.array([orientation in (2, 3, 7, 8), orientation in (3, 4, 6, 7)])
    corners = np.sort(np.where(flipped, size - corners, corners), axis=1)
    return (corners[..., ::-1], size[::-1]) if orientation in (5, 6, 7, 8) else (corners, size)

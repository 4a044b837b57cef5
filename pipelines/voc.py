"""Pascal VOC in its own layout, and other data in the same: XML files, lists of images, JPEGImages."""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from pipelines.annotations import Annotated, Box, Entry, Object, Size, annotate
from pipelines.split import Split, check_split

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""The 20 classes of VOC, in the order that everybody uses: the alphabet's."""
_LISTS = Path("ImageSets", "Main")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_WANTED = "wanted is a VOCdevkit folder with VOC2007, VOC2012, …, or one of those"


class _Found(NamedTuple):
    """What an XML file says of an object."""

    where: str
    name: str
    corners: dict[str, float]
    difficult: bool

    def labelled(self, numbers: dict[str, int]) -> Object:
        if self.name not in numbers:
            raise ValueError(
                f"{self.where}: its class is none of those trained on ({', '.join(numbers)}). Correct the name, or "
                "remove the object."
            )
        given = ", ".join(f"{name}={value:g}" for name, value in self.corners.items())
        x1, y1, x2, y2 = self.corners.values()
        box: Box = (x1 - 1, y1 - 1, x2, y2)
        return Object(self.where, given, numbers[self.name], box, self.difficult)


class _Image(NamedTuple):
    """What an XML file says."""

    file: Path
    path: Path
    size: Size | None
    objects: list[_Found]

    def labelled(self, numbers: dict[str, int]) -> Entry:
        return Entry(str(self.file), self.path, self.size, [found.labelled(numbers) for found in self.objects])


def is_voc(root: str | os.PathLike[str]) -> bool:
    """Whether a folder is a VOCdevkit, or one of the VOC… folders in it."""
    return bool(_years(Path(root)))


def read(root: str | os.PathLike[str], split: Split) -> Annotated:
    """The images of a VOCdevkit folder, or of one VOC… folder, with their objects.

    VOC counts pixels from 1, and both corners belong to the object: a box becomes xmin − 1, ymin − 1, xmax, ymax, so
    that the width is xmax − xmin + 1, as in VOC's own metric. Difficult objects are kept, and marked.

    Args:
        root: with ``Annotations/*.xml``, ``ImageSets/Main/*.txt`` and ``JPEGImages`` in each VOC… folder.
        split: ``"train"``: ``trainval`` of all years, in order (VOC07+12; paper, C); ``"val"``: ``test`` of 2007,
            without a folder VOC2007 that of the only year.

    Returns:
        Images in the order of the lists. The classes are VOC's where all that is trained on are among them, otherwise
        the names in ``trainval``, sorted.

    Raises:
        FileNotFoundError: the folder, a list, an XML file or an image is missing.
        ValueError: an XML file is damaged, an object is of an unknown class, and see
            :func:`pipelines.annotations.annotate`; file and entry are named.
    """
    check_split(split)
    years = _years(Path(root))
    if not years:
        raise FileNotFoundError(f"{root}: no folder VOC… with {_LISTS} in it; {_WANTED}.")
    evaluated = [] if split == "train" else [*_images(_year_of_test(years), "test")]
    only_test = split == "val" and not any((year / _LISTS / "trainval.txt").is_file() for year in years)
    if only_test and {found.name for image in evaluated for found in image.objects} <= {*CLASSES}:
        trained = []
    else:
        trained = [image for year in years for image in _images(year, "trainval")]
    names = {found.name for image in trained for found in image.objects}
    classes = CLASSES if names <= {*CLASSES} else tuple(sorted(names))
    numbers = {name: number for number, name in enumerate(classes)}
    images = trained if split == "train" else evaluated
    return annotate(classes, (image.labelled(numbers) for image in images))


def _years(root: Path) -> list[Path]:
    folders = [root] if (root / _LISTS).is_dir() else sorted(root.glob("VOC*"))
    return [folder for folder in folders if (folder / _LISTS).is_dir()]


def _year_of_test(years: list[Path]) -> Path:
    return next((year for year in years if year.name == "VOC2007" or len(years) == 1), years[0].with_name("VOC2007"))


def _images(year: Path, part: str) -> Iterator[_Image]:
    """The images of a list, parsed."""
    file = year / _LISTS / f"{part}.txt"
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such list of images; {_WANTED}, with trainval.txt and, in 2007, test.txt.")
    for line in file.read_text(encoding="utf-8").splitlines():
        if words := line.split():
            yield _parsed(year, words[0], file)


def _parsed(year: Path, name: str, listed_in: Path) -> _Image:
    file = year / "Annotations" / f"{name}.xml"
    try:
        tree = ElementTree.parse(file).getroot()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{file}: no such annotation, but {listed_in} has {name}. Put it there, or remove the line."
        ) from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the last two of an encoding that is none
        raise ValueError(f"{file}: damaged or no XML ({error}). Correct it, or remove the image.") from error
    path = year / "JPEGImages" / f"{name}.jpg"
    if not path.is_file():  # other data in VOC's form may hold PNG files, and name them with their folders
        other = path.parent / re.split(r"[/\\]", tree.findtext("filename", "").strip())[-1]
        path = other if other.is_file() else path
    sides = [_number(tree, f"size/{side}", str(file), missing=0.0) for side in ("height", "width")]
    size = (int(sides[0]), int(sides[1])) if all(sides) else None  # some tools write 0 where they do not know
    objects = [_object(element, f"{file}, object {n}") for n, element in enumerate(tree.iter("object"), 1)]
    return _Image(file, path, size, objects)


def _object(element: ElementTree.Element, where: str) -> _Found:
    name = element.findtext("name", "").strip()
    where = f"{where} ({name!r})"
    corners = {corner: _number(element, f"bndbox/{corner}", where) for corner in _CORNERS}
    return _Found(where, name, corners, element.findtext("difficult", "").strip() == "1")


def _number(element: ElementTree.Element, path: str, where: str, missing: float | None = None) -> float:
    text = element.findtext(path)
    if text is None and missing is not None:
        return missing
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{where}: {path} is {text!r}; wanted is a number.")
    return number

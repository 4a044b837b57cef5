"""Pascal VOC in its own layout, and other data in the same: XML files, lists of images, JPEGImages.

    VOCdevkit/VOC2007/ImageSets/Main/trainval.txt ─┐
    VOCdevkit/VOC2007/Annotations/000005.xml       ├──read──▶ Annotated ──▶ ssd.py, faster_rcnn.py
    VOCdevkit/VOC2007/JPEGImages/000005.jpg       ─┘

Copy this file into your project: all that it imports is installed with dali_cutmix.
"""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from dali_cutmix.detection import Annotated, Box, Entry, Object, Size, annotate
from dali_cutmix.utils import Split, check_split, path_below, read_regular, read_text

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""The 20 classes of VOC in their usual, alphabetical order."""
_LISTS = Path("ImageSets", "Main")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_LARGEST = 2**26  # bytes of an XML file
_EXPECTED = "expected a VOCdevkit folder with VOC2007, VOC2012, …, or one of those"


class _Found(NamedTuple):
    """One object, as an XML file has it."""

    where: str
    name: str
    corners: dict[str, float]
    difficult: bool

    def labelled(self, numbers: dict[str, int]) -> Object:
        if self.name not in numbers:
            raise ValueError(
                f"{self.where}: its class is not one of the training classes ({', '.join(numbers)}). Correct the name, "
                "or remove the object."
            )
        given = ", ".join(f"{name}={value:g}" for name, value in self.corners.items())
        x1, y1, x2, y2 = self.corners.values()
        box: Box = (x1 - 1, y1 - 1, x2, y2)
        return Object(self.where, given, numbers[self.name], box, self.difficult)


class _Image(NamedTuple):
    """One image, as its XML file has it."""

    file: Path
    path: Path
    size: Size | None
    objects: list[_Found]

    def labelled(self, numbers: dict[str, int]) -> Entry:
        return Entry(str(self.file), self.path, self.size, [found.labelled(numbers) for found in self.objects])


def is_voc(root: str | os.PathLike[str]) -> bool:
    """Whether a folder is a VOCdevkit folder, or one of the VOC… folders in it.

    Example:
        >>> from pipelines import voc
        >>> voc.is_voc("VOCdevkit"), voc.is_voc("VOCdevkit/VOC2007"), voc.is_voc("photos")
        (True, True, False)
    """
    return bool(_years(Path(root)))


def read(root: str | os.PathLike[str], split: Split) -> Annotated:
    """Read the images of a VOCdevkit folder, or of one VOC… folder, with their objects.

    VOC counts pixels from 1, and both corners belong to the object: a box becomes xmin − 1, ymin − 1, xmax, ymax, so
    that the width is xmax − xmin + 1, as in VOC's own metric. Difficult objects are kept and marked.

    Args:
        root: folder of VOC… folders, each with ``Annotations/*.xml``, ``ImageSets/Main/*.txt`` and ``JPEGImages``; or
            one of these.
        split: ``"train"`` for ``trainval`` of all years, in order (VOC07+12; paper, C); ``"val"`` for ``test`` of 2007,
            or of the only year if there is no 2007.

    Returns:
        Images in the order of the lists. The classes are the 20 of VOC if every object in ``trainval`` has one of them;
        otherwise the names in ``trainval``, sorted.

    Raises:
        FileNotFoundError: the folder, a list, an XML file or an image is missing.
        ValueError: an XML file is damaged, an object has an unknown class, or a box or size does not fit (see
            ``dc.detection.annotate``). The message names file and entry.

    Example:
        >>> from pipelines import voc
        >>> annotated = voc.read("VOCdevkit", "train")
        >>> [path.name for path in annotated.paths]
        ['000005.jpg', '000007.jpg', '2008_000002.jpg']
        >>> annotated.boxes[0].tolist(), [annotated.classes[label] for label in annotated.labels[0]]
        ([[0.0, 0.0, 60.0, 40.0], [4.0, 5.0, 5.0, 6.0]], ['dog', 'cat'])
    """
    check_split(split)
    years = _years(Path(root))
    if not years:
        raise FileNotFoundError(f"{root}: no folder VOC… with {_LISTS} in it; {_EXPECTED}.")
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
    """The images of a list, with their parsed XML files."""
    file = year / _LISTS / f"{part}.txt"
    if not file.is_file():
        raise FileNotFoundError(
            f"{file}: no such list of images; {_EXPECTED}, with trainval.txt and, in 2007, test.txt."
        )
    for line in read_text(file).splitlines():
        if words := line.split():
            yield _parsed(year, words[0], file)


def _parsed(year: Path, name: str, listed_in: Path) -> _Image:
    file = path_below(year / "Annotations", f"{name}.xml", str(listed_in))
    try:
        tree = ElementTree.fromstring(read_regular(file, _LARGEST))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{file}: no such annotation, but {listed_in} has {name}. Put it there, or remove the line."
        ) from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # an unknown encoding raises one of the last two
        raise ValueError(f"{file}: damaged or not XML ({error}). Correct it, or remove the image.") from error
    path = path_below(year / "JPEGImages", f"{name}.jpg", str(listed_in))
    if not path.is_file():  # other data in VOC's layout may have PNG files, named together with their folders
        other = path.parent / re.split(r"[/\\]", tree.findtext("filename", "").strip())[-1]
        path = other if other.is_file() else path
    sides = [_number(tree, f"size/{side}", str(file), missing=0.0) for side in ("height", "width")]
    size = (int(sides[0]), int(sides[1])) if all(sides) else None  # some tools write 0 for an unknown size
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
        raise ValueError(f"{where}: {path} is {text!r}; expected a number.")
    return number

"""Painted images whose pixels encode their position and their object, and checks of boxes and crops against them."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from nvidia.dali import pipeline_def
from PIL import ExifTags, Image

import dali_cutmix as dc
from dali_cutmix.detection import Annotated, Entry, Object, annotate, read_images
from tests.helpers.images import save

CLASSES = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu")
LOW, SPAN = 30, 220  # levels of red (green) in the first column (row), and how many more there are at most
LEVEL = 34  # of blue, for each class
GAP = 16  # pixels between objects


def paint(width: int, height: int, boxes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """An image whose red gives the column, green the row and blue the object, 0 where there is none."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = LOW + SPAN // width * np.arange(width)
    pixels[..., 1] = LOW + SPAN // height * np.arange(height)[:, None]
    for (x1, y1, x2, y2), label in zip(boxes.astype(int), labels, strict=True):
        pixels[y1:y2, x1:x2, 2] = LEVEL * (label + 1)
    return pixels


def place(rng: np.random.Generator, width: int, height: int, count: int) -> np.ndarray:
    """Up to ``count`` boxes, n×4, that keep their distance from each other."""
    boxes: list[tuple[int, ...]] = []
    for _ in range(60):
        w, h = (int(rng.integers(18, max(19, side // 2))) for side in (width, height))
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        apart = all(
            x + w + GAP <= x1 or x2 + GAP <= x or y + h + GAP <= y1 or y2 + GAP <= y for x1, y1, x2, y2 in boxes
        )
        if apart and len(boxes) < count:
            boxes.append((x, y, x + w, y + h))
    return np.array(boxes, float)


def one_object_each(root: Path, count: int) -> Annotated:
    """``count`` images with one object each, whose label is the image's number."""
    entries = []
    for number in range(count):
        save(np.full((40, 50, 3), 10 * number, np.uint8), root / f"{number:03d}.png")
        objects = [Object("", "", number, (5.0, 5.0, 45.0, 35.0), False)]
        entries.append(Entry("", root / f"{number:03d}.png", None, objects))
    return annotate(tuple(f"class {number}" for number in range(count)), entries)


def painted(root: Path, count: int = 48, seed: int = 0, difficult: float = 0.0) -> Annotated:
    """``count`` lossless images of 60 to 110 pixels a side with one to four objects."""
    rng = np.random.default_rng(seed)
    entries = []
    for number in range(count):
        width, height = (int(side) for side in rng.integers(60, 111, 2))
        boxes = place(rng, width, height, int(rng.integers(1, 5)))
        labels = rng.integers(0, len(CLASSES), len(boxes))
        hard = rng.random(len(boxes)) < difficult
        path = root / f"{number:03d}.png"
        save(paint(width, height, boxes, labels), path)
        objects = [
            Object(str(path), "", int(label), (box[0], box[1], box[2], box[3]), bool(is_hard))
            for box, label, is_hard in zip(boxes.tolist(), labels, hard, strict=True)
        ]
        entries.append(Entry(str(path), path, (height, width), objects))
    return annotate(CLASSES, entries)


def turned(annotated: Annotated, root: Path) -> Annotated:
    """The same images, each with one of EXIF's orientations 3 to 8."""
    paths = []
    for number, path in enumerate(annotated.paths):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 3 + number % 6
        paths.append(root / path.name)
        with Image.open(path) as image:
            save(image.copy(), paths[-1], exif=exif)
    return replace(annotated, paths=tuple(paths))


def order(annotated: Annotated, batch_size: int, epochs: int, seed: int = 0) -> np.ndarray:
    """The numbers of the images that training with this seed delivers, one after the other."""

    @pipeline_def(batch_size=batch_size, num_threads=1, device_id=None)
    def graph():
        return read_images(annotated.paths, seed=seed)[1]

    loader = dc.Loader(graph())
    return np.concatenate([numbers for _ in range(epochs) for (numbers,) in loader])


class Seen(NamedTuple):
    """What the pixels of an image say of where they came from.

    A column at x pixels shows what lies at slope·x + offset in the file, in shares of its width; a row likewise.
    """

    slope: np.ndarray
    offset: np.ndarray
    blue: np.ndarray
    error: float = 0.0
    """Distance of the boxes from where they should be, pixels on average."""

    def boxes(self, shares: np.ndarray) -> np.ndarray:
        """Boxes of the file, in shares of it, in pixels of the image, as if it had no border."""
        return np.sort((shares.reshape(-1, 2, 2) - self.offset) / self.slope, axis=1).reshape(-1, 4)


def see(image: np.ndarray, size: np.ndarray) -> Seen:
    """Look at an image, 3×H×W levels, with black where it shows nothing, from a file of some height and width."""
    red, green, blue = image
    shown = (red > LOW / 2) & (green > LOW / 2)
    lines = []
    for channel, axis, side in ((red, 0, int(size[1])), (green, 1, int(size[0]))):
        sums = (channel * shown).sum(axis), shown.sum(axis)
        at = np.flatnonzero(sums[1])
        levels = sums[0][at] / sums[1][at]
        inner = (levels > levels.min() + 0.5) & (levels < levels.max() - 0.5)  # at borders, pixels are repeated
        columns = (levels - LOW) / (SPAN // side) + 0.5
        lines.append(np.polyfit(at[inner] + 0.5, columns[inner] / side, 1))
    return Seen(*np.array(lines).T, blue)


def extent(blue: np.ndarray, box: np.ndarray, label: int) -> np.ndarray:
    """x1, y1, x2, y2 of the pixels around a box that are at least half an object's colour."""
    x1, y1, x2, y2 = (max(int(side), 0) for side in (*np.floor(box[:2] - 2), *np.ceil(box[2:] + 2)))
    mine = blue[y1:y2, x1:x2] >= LEVEL * (label + 1) / 2
    rows, columns = (np.flatnonzero(mine.any(axis)) for axis in (1, 0))
    return np.array([x1 + columns[0], y1 + rows[0], x1 + columns[-1] + 1, y1 + rows[-1] + 1])


def shares(annotated: Annotated, number: int) -> np.ndarray:
    """Boxes of an image in shares of its width and height."""
    return annotated.boxes[number] / annotated.sizes[number][[1, 0, 1, 0]]


def check_objects(image: np.ndarray, boxes: np.ndarray, labels: np.ndarray, annotated: Annotated, number: int) -> Seen:
    """Check that boxes and labels are exactly those of the objects that the pixels show, by place and by colour.

    Args:
        image: 3×H×W levels.
        boxes, labels: as a loader gives them, with padding.
    """
    _, height, width = image.shape
    seen = see(image, annotated.sizes[number])
    there = seen.boxes(shares(annotated, number))
    centres = (there[:, :2] + there[:, 2:]) / 2
    inside, *nearly = (((centres > out) & (centres < [width - out, height - out])).all(1) for out in (0, 1, -1))
    if (nearly[0] != nearly[1]).any():
        return seen  # levels are whole, so places are known to a pixel: a centre may lie in or out
    count = int(inside.sum())
    assert labels[:count].tolist() == annotated.labels[number][inside].tolist()
    assert (labels[count:] == -1).all()
    assert (boxes[count:] == 0).all()
    boxes = boxes[:count]
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= [width, height]).all()
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    expected = np.clip(there[inside], 0, [width, height] * 2)
    np.testing.assert_allclose(boxes, expected, atol=1)
    blur = 2 + 1 / np.abs(seen.slope) / annotated.sizes[number][::-1]  # a pixel of the file, in pixels of the image
    for box, label in zip(boxes, labels, strict=False):
        if (box[2:] - box[:2]).min() >= 2:
            np.testing.assert_allclose(extent(seen.blue, box, label), box, atol=1)
            (x1, y1), (x2, y2) = (box.reshape(2, 2) + np.array([blur, -blur])).astype(int)
            core = seen.blue[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)]
            assert np.abs(core - LEVEL * (label + 1)).max(initial=0) <= 1
    return seen._replace(error=float(np.abs(boxes - expected).mean()))
